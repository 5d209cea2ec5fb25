"""The Firecracker adapter. Where both of its programs lie on the path, on the real ones, with a guest of our own
(`speaking_kernel.c`): it shows the whole way but Linux. What has to fail closed is also shown without Firecracker, with
stand-ins that open the real kind of socket; no test takes one of them for an engine that works."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime_adapters import cpu, firecracker, firecracker_api, jail, processes
from runtime_adapters.fair_share import Share
from runtime_adapters.firecracker import FirecrackerAdapter
from runtime_adapters.machines import MachinesAdapter
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.pool import Pool
from runtime_adapters.port import Artifact, NotAvailable, NotWhatWasDecided, RuntimeRefusal, WrongEngine
from tests.contract.machine_folders import NEEDS_QEMU, machine_folder
from tests.contract.roots import archive

CAPS = Caps(cpu=0.5, memory_mib=32, timeout_ms=20_000, storage_mib=4)
ECHO, NEVER_READY, SPIN, CALLS_OUT, INITRD_SIZE, BABBLE, RESET = range(7)
COMPILER = shutil.which("cc")
FLAGS = [
    "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector",
    "-fcf-protection=none", "-nostdlib", "-static", "-Wl,-Ttext=0x200000,--build-id=none",
]  # fmt: skip
needs_firecracker = pytest.mark.skipif(
    any(shutil.which(program) is None for program in (jail.FIRECRACKER, jail.JAILER))
    or os.geteuid() != 0
    or COMPILER is None
    or not os.path.exists("/dev/kvm"),
    reason="needs firecracker and jailer of one release on the path, root, /dev/kvm and a C compiler",
)
SPACES = ["unshare", "--pid", "--net", "--ipc", "--uts", "--fork", "true"]
needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("unshare") is None
    or subprocess.run(SPACES, capture_output=True, check=False).returncode != 0,
    reason="needs root and namespaces of one's own",
)
needs_groups = pytest.mark.skipif(cpu.control().parent is None, reason="no control group can be made here")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """`image(behaviour)`: a folder with a guest that behaves so."""
    made: dict[int, Path] = {}

    def folder(behaviour: int) -> Path:
        if behaviour not in made:
            made[behaviour] = tmp_path_factory.mktemp("machine")
            kernel, source = made[behaviour] / "vmlinux", Path(__file__).with_name("speaking_kernel.c")
            subprocess.run([COMPILER, f"-DBEHAVIOUR={behaviour}", *FLAGS, "-o", kernel, source], check=True)
            written_down(made[behaviour])
        return made[behaviour]

    return folder


def written_down(folder: Path, kernel: bytes | None = None) -> Path:
    """Make `folder` an image of what lies there."""
    if kernel is not None:
        (folder / "vmlinux").write_bytes(kernel)
    (folder / "base.cpio.gz").write_bytes(b"base of every guest")
    parts = {"kernel": folder / "vmlinux", "initrd": folder / "base.cpio.gz"}
    digests = {name: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in parts.items()}
    (folder / "image.json").write_text(json.dumps(digests))
    return folder


def prepared(adapter, folder: Path, caps: Caps = CAPS, **plan):
    raw = archive("true")
    path = folder / "rootfs.tar"
    path.write_bytes(raw)
    decided = RuntimePlan("lunch", "marketing", "id-1", "microvm", caps, ())._replace(**plan)
    return adapter.prepare(decided, Artifact(str(path), hashlib.sha256(raw).hexdigest()))


def ready(folder: Path, control: cpu.Control | None = None) -> FirecrackerAdapter:
    """An adapter whose doctor has been."""
    adapter = FirecrackerAdapter(folder, control)
    probe = adapter.probe()
    assert probe.is_available, probe
    return adapter


def broker(_raw, _left):
    return b'{"ok":1}'


def jails(folder: Path) -> list[str]:
    return [path.name for path in (folder / "firecracker" / "jails" / "firecracker").glob("*")]


@pytest.fixture
def start(image, tmp_path):
    """`start(behaviour)`: an instance; each ends with the test and leaves nothing behind."""
    instances, folders = [], []

    def started(behaviour, ask=broker, caps=CAPS, control=None):
        folders.append(image(behaviour))
        instances.append(prepared(ready(folders[-1], control), tmp_path, caps).start(ask))
        return instances[-1]

    yield started
    for instance in instances:
        instance.stop()
    assert [jails(folder) for folder in folders] == [[]] * len(folders)


@needs_firecracker
def test_a_request_goes_in_and_the_answer_comes_out(start):
    instance = start(ECHO)
    assert [instance.call(body).output for body in (b"one", b"second call", bytes(range(256)))] == [
        b"one", b"second call", bytes(range(256)),
    ]  # fmt: skip
    used = instance.observe()
    assert (used.calls, used.egress_calls) == (3, 0)
    assert used.memory_peak_mib > 0


@needs_firecracker
def test_a_call_out_reaches_the_broker_and_comes_back(start):
    heard = []
    instance = start(CALLS_OUT, lambda raw, _left: heard.append(json.loads(raw)) or b'{"ok":1}')
    assert instance.call(b"").output == b"\0\0\0"
    assert heard == [{"op": "kv.get", "key": "a"}]
    assert instance.observe().egress_calls == 1


@needs_firecracker
def test_base_and_app_arrive_in_the_guest(start, image):
    from runtime_adapters.microvm_image import app_archive

    said = base64.b64encode(start(INITRD_SIZE).call(b"").output).decode()
    raw = archive("true")
    path = image(INITRD_SIZE) / "the-same.tar"
    path.write_bytes(raw)
    app = app_archive(Artifact(str(path), hashlib.sha256(raw).hexdigest()))
    assert int(said, 16) == len(b"base of every guest") + len(app)


@needs_firecracker
def test_the_engine_is_alone_in_its_jail(start, image):
    """From outside, after the first call: account, capabilities, filter, files, namespaces, network."""
    instance = start(ECHO)
    assert instance.call(b"x").status == "done"
    (name,) = jails(image(ECHO))
    (process,) = [p for p in processes.named(name) if Path(f"/proc/{p}/comm").read_text() == "firecracker\n"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":\t" in line
    )
    accounts = set(status["Uid"].split() + status["Gid"].split())
    assert len(accounts) == 1
    assert 0x70000000 <= int(accounts.pop()) < 0x80000000
    assert (int(status["CapEff"], 16), status["Groups"].split(), status["Seccomp"], status["NoNewPrivs"]) == (
        0,
        [],
        "2",
        "1",
    )
    in_jail = {path.name for path in Path(f"/proc/{process}/root").iterdir()}
    assert in_jail == {"api.sock", "dev", "firecracker", "firecracker.pid", "log", "metrics", "run"}
    devices = Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    opened = {os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")}
    assert not [
        target for target in opened if "tun" in target or target.startswith(("/home", "/root", "/etc", "/proc"))
    ]
    limits = {
        line[:26].strip(): line[26:].split()[0] for line in Path(f"/proc/{process}/limits").read_text().splitlines()
    }
    assert (limits["Max file size"], limits["Max open files"]) == (str(1 << 20), "64")
    assert int(limits["Max address space"]) == (CAPS.memory_mib + 96 + 128) << 20


def jailer_that_adds(folder: Path, monkeypatch, options: str, before: str = "", through: str = "") -> None:
    """The real jailer behind a script: somebody's wrapper that weakens the engine it starts."""
    real = shutil.which("jailer")
    folder.mkdir()
    (folder / "jailer").write_text(
        f'#!/bin/sh\ntest "$1" = --version && exec {real} --version\n{before}\nexec {through} {real} "$@" {options}\n'
    )
    (folder / "jailer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@needs_firecracker
def test_an_engine_without_its_filter_is_seen_and_not_used(image, tmp_path, monkeypatch):
    jailer_that_adds(tmp_path / "bin", monkeypatch, "--no-seccomp")
    probe = FirecrackerAdapter(image(ECHO)).probe()
    assert not probe.is_available
    assert "Seccomp is 0" in probe.reason
    assert jails(image(ECHO)) == []


@needs_firecracker
@pytest.mark.skipif(shutil.which("seccompiler-bin") is None, reason="needs the release's seccompiler-bin on the path")
def test_an_engine_whose_filter_allows_everything_is_seen_and_not_used(image, tmp_path, monkeypatch):
    """What a build for another C library than the release's carries: in filter mode, and free to do all."""
    allow = {"default_action": "allow", "filter_action": "trap", "filter": []}
    (tmp_path / "allow.json").write_text(json.dumps(dict.fromkeys(("vmm", "api", "vcpu"), allow)))
    made = ["--target-arch", "x86_64", "--input-file", tmp_path / "allow.json", "--output-file", tmp_path / "allow.bpf"]
    subprocess.run(["seccompiler-bin", *made], check=True)
    root = f"{image(ECHO)}/firecracker/jails/firecracker/*/root/"
    jailer_that_adds(tmp_path / "bin", monkeypatch, "--seccomp-filter /allow.bpf", f"cp {tmp_path}/allow.bpf {root}")
    probe = FirecrackerAdapter(image(ECHO)).probe()
    assert not probe.is_available
    assert "filter allows ptrace, execve, mount" in probe.reason


@needs_firecracker
def test_an_engine_in_the_host_s_network_is_seen_and_not_used(image, tmp_path, monkeypatch):
    ours = f"nsenter --net=/proc/{os.getpid()}/ns/net"
    jailer_that_adds(tmp_path / "bin", monkeypatch, "", through=ours)
    probe = FirecrackerAdapter(image(ECHO)).probe()
    assert not probe.is_available
    assert "shares the host's namespace 'net'" in probe.reason


ELSEWHERE = """
base=$(echo "$@" | sed 's/.*--chroot-base-dir \\([^ ]*\\).*/\\1/'); id=$2
ours=$base/firecracker/$id/root; other={other}/firecracker/$id/root
mkdir -p $other; cp $ours/kernel $ours/initrd $other
(while ! ln $other/api.sock $ours/api.sock 2> /dev/null; do sleep 0.02; done) &
set -- $(echo "$@" | sed "s#--chroot-base-dir [^ ]*#--chroot-base-dir {other}#")
"""


@needs_firecracker
def test_an_engine_in_another_jail_than_ours_is_seen_and_not_used(image, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    jailer_that_adds(tmp_path / "bin", monkeypatch, "", ELSEWHERE.format(other=tmp_path / "other"))
    probe = FirecrackerAdapter(image(ECHO)).probe()
    assert not probe.is_available
    assert "its root is not the jail" in probe.reason
    assert jails(image(ECHO)) == []


@needs_firecracker
def test_two_machines_have_two_accounts(start, image):
    accounts = set()
    for _ in range(2):
        assert start(ECHO).call(b"x").status == "done"
    for name in jails(image(ECHO)):
        accounts |= {os.stat(f"/proc/{p}").st_uid for p in processes.named(name)} - {0}
    assert len(accounts) == 2


@needs_firecracker
def test_the_attestation_measures_programs_kernel_base_and_app(image, tmp_path):
    attested = prepared(ready(image(ECHO)), tmp_path).attest()
    files = {
        "firecracker": shutil.which("firecracker"), "jailer": shutil.which("jailer"), "kernel": image(ECHO) / "vmlinux",
        "initrd": image(ECHO) / "base.cpio.gz", "rootfs": tmp_path / "rootfs.tar",
    }  # fmt: skip
    assert attested.digests == {
        name: f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}" for name, path in files.items()
    }
    assert (attested.boundary, attested.cpu_held_by) == ("vm-kvm", cpu.control().kind)
    assert attested.engine.startswith("Firecracker v1.")


@needs_firecracker
def test_what_is_not_what_was_decided_is_not_prepared(image, tmp_path):
    adapter = ready(image(ECHO))
    path = tmp_path / "r.tar"
    path.write_bytes(archive("true"))
    with pytest.raises(NotWhatWasDecided):
        adapter.prepare(RuntimePlan("a", "t", "d", "microvm", CAPS, ()), Artifact(str(path), "0" * 64))
    for other in ({"runtime_class": "wasm"}, {"clock": "2026-01-01T00:00:00Z"}, {"randomness": "seeded"}):
        with pytest.raises(RuntimeRefusal):
            prepared(adapter, tmp_path, **other)


@needs_firecracker
@pytest.mark.parametrize(("behaviour", "status"), [(SPIN, "timeout"), (BABBLE, "trap"), (RESET, "exit")])
def test_a_guest_that_does_not_answer_is_gone_with_its_machine(start, image, behaviour, status):
    instance = start(behaviour, caps=CAPS._replace(timeout_ms=1500))
    outcome = instance.call(b"")
    assert (outcome.status, outcome.output) == (status, b""), outcome
    assert jails(image(behaviour)) == []
    assert instance.call(b"").status == "exit"


@needs_firecracker
def test_a_guest_that_never_speaks_is_not_available_and_leaves_nothing(image, tmp_path, monkeypatch):
    monkeypatch.setattr(firecracker, "BOOT_S", 1.0)
    adapter = FirecrackerAdapter(image(NEVER_READY))
    probe = adapter.probe()
    assert not probe.is_available
    assert "no word from the guest" in probe.reason
    assert jails(image(NEVER_READY)) == []
    with pytest.raises(NotAvailable, match="no word from the guest"):
        prepared(adapter, tmp_path)


@needs_firecracker
def test_the_engine_s_own_words_are_the_reason_where_it_refuses(tmp_path, image):
    """Twice the real API's 400: a kernel that is none, and a machine without memory."""
    probe = FirecrackerAdapter(written_down(tmp_path, b"not a kernel")).probe()
    assert not probe.is_available
    assert "refused PUT /actions (400)" in probe.reason
    with pytest.raises(NotAvailable, match=r"refused PUT /machine-config \(400\)"):
        prepared(ready(image(ECHO)), tmp_path, CAPS._replace(memory_mib=-96)).start(broker)
    assert jails(tmp_path) == jails(image(ECHO)) == []


@needs_firecracker
def test_what_was_booted_counts_for_these_programs_and_this_image_alone(image, tmp_path, monkeypatch):
    folder = tmp_path / "machine"
    shutil.copytree(image(ECHO), folder, ignore=shutil.ignore_patterns("firecracker"))
    assert "none was booted" in FirecrackerAdapter(folder).booted().reason
    with pytest.raises(NotAvailable, match="governance runtime doctor"):
        prepared(FirecrackerAdapter(folder), tmp_path)
    assert ready(folder).booted().is_available
    assert FirecrackerAdapter(folder).booted().is_available
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("firecracker", "jailer"):
        (programs / name).write_bytes(Path(shutil.which(name)).read_bytes() + b"\0")
        (programs / name).chmod(0o755)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        assert not FirecrackerAdapter(folder).booted().is_available
    written_down(folder, (folder / "vmlinux").read_bytes() + b"\0")
    assert not FirecrackerAdapter(folder).booted().is_available


@needs_firecracker
@needs_groups
def test_a_guest_that_spins_runs_at_its_share(start):
    instance = start(SPIN, caps=CAPS._replace(cpu=0.1, timeout_ms=3000))
    started = time.monotonic()
    before = max(0.0, processes.cpu_ms([instance._machine.process]))
    assert instance.call(b"").status == "timeout"
    assert instance.observe().cpu_ms - before <= 200 * (time.monotonic() - started)


@needs_firecracker
def test_without_a_control_group_a_guest_that_spins_is_killed_when_its_budget_is_spent(start):
    outcome = start(SPIN, caps=CAPS._replace(cpu=0.01, timeout_ms=60_000), control=cpu.WATCHDOG).call(b"")
    assert outcome.status == "fuel", outcome


@needs_firecracker
@pytest.mark.parametrize("cores", [0.0, -1.0, float("nan")])
def test_a_cap_that_nobody_can_hold_starts_nothing(image, tmp_path, cores):
    for control in (None, cpu.WATCHDOG):
        adapter = FirecrackerAdapter(image(ECHO), control)
        ready(image(ECHO))
        with pytest.raises(NotAvailable, match="cannot be held"):
            prepared(adapter, tmp_path, CAPS._replace(cpu=cores)).start(broker)
    assert jails(image(ECHO)) == []


@needs_firecracker
def test_an_engine_that_is_killed_under_load_is_said_to_be_and_the_next_call_starts_anew(image, tmp_path):
    spins, echoes = prepared(ready(image(SPIN)), tmp_path), prepared(ready(image(ECHO)), tmp_path)
    pool = Pool(2, Share())
    try:
        hung = pool.call("marketing", "spins", "1", lambda: spins.start(broker), b"")
        busy = [pool.call("hr", "echoes", "1", lambda: echoes.start(broker), b"%d" % n) for n in range(5)]
        assert [future.result(60).output for future in busy] == [b"%d" % n for n in range(5)]
        victim = running(image(SPIN))
        os.kill(victim, signal.SIGKILL)
        assert hung.result(30).status == "killed"
        again = pool.call("hr", "echoes", "1", lambda: echoes.start(broker), b"again")
        assert again.result(60).output == b"again"
    finally:
        pool.close()
    assert jails(image(SPIN)) == jails(image(ECHO)) == []


def running(folder: Path) -> int:
    """The engine of the one jail there, once it has started its guest."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for name in jails(folder):
            for process in processes.named(name):
                threads = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/comm")]
                if "fc_vcpu 0\n" in threads:
                    return process
        time.sleep(0.02)
    raise AssertionError("no machine is running")


OWNER = """
import sys
from pathlib import Path
from tests.contract.test_firecracker_runtime import FirecrackerAdapter, broker, prepared
instance = prepared(FirecrackerAdapter(Path(sys.argv[1])), Path(sys.argv[2])).start(broker)
print("started", flush=True)
instance.call(b"")
"""


@needs_firecracker
def test_nothing_outlives_an_adapter_that_was_killed(image, tmp_path, start):
    """A kill -9 in the middle of a call: the kernel ends the machine, the next adapter takes the jail away, ours lives."""
    folder = image(SPIN)
    ready(folder)
    command = [sys.executable, "-c", OWNER, str(folder), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        (name,) = jails(folder)
        assert processes.named(name)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes.named(name) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.named(name) == []
    assert jails(folder) == [name]
    living = start(ECHO)
    FirecrackerAdapter(folder)
    assert jails(folder) == []
    if cpu.control().parent is not None:
        assert not list(cpu.control().parent.glob(f"microapp-{name}*"))
    assert living.call(b"still there").output == b"still there"


@needs_firecracker
def test_the_class_takes_firecracker_once_the_doctor_booted_one_and_says_so(image, tmp_path):
    folder = tmp_path / "machine"
    shutil.copytree(image(ECHO), folder, ignore=shutil.ignore_patterns("firecracker"))
    machines = MachinesAdapter(folder)
    with pytest.raises(NotAvailable, match=r"no virtual machine starts here|qemu"):
        prepared(machines, tmp_path)  # QEMU's turn, and it takes no kernel without a PVH note
    assert machines.probe().engine.startswith("Firecracker")
    chosen = prepared(machines, tmp_path)
    assert (chosen.attest().adapter, chosen.attest().boundary) == ("firecracker", "vm-kvm")
    assert chosen.attest().why.startswith("Firecracker: a kernel booted in")
    instance = chosen.start(broker)
    try:
        assert instance.call(b"hello").output == b"hello"
    finally:
        instance.stop()


@pytest.mark.slow
@NEEDS_QEMU
def test_the_class_takes_qemu_where_there_is_no_firecracker_and_says_so(tmp_path_factory, tmp_path, monkeypatch):
    machine_folder(tmp_path_factory, tmp_path)
    if shutil.which(jail.FIRECRACKER, path=os.defpath):
        pytest.skip("Firecracker lies among the system's own programs")
    monkeypatch.setenv("PATH", os.defpath)
    machines = MachinesAdapter(tmp_path)
    assert "not Firecracker: there is no firecracker on the path" in machines.probe().reason
    attested = prepared(machines, tmp_path).attest()
    assert attested.adapter == "microvm"
    assert attested.why.startswith("QEMU, not Firecracker: there is no firecracker")


# From here on without Firecracker: what stands in can do nothing but go wrong.


STAND_IN = """#!{python}
import json, os, socket, sys, time
if "--version" in sys.argv:
    sys.exit(print("{said}"))
told = dict(zip(sys.argv, sys.argv[1:]))
os.chdir(os.path.join(told["--chroot-base-dir"], "firecracker", told["--id"], "root"))
open("/proc/self/comm", "w").write("firecracker")
config = {{}}
def serve(answer):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("api.sock")
    listening.listen()
    line = listening.accept()[0]
    while True:
        raw = b""
        while b"\\r\\n\\r\\n" not in raw:
            if not (more := line.recv(65536)):
                sys.exit(0)
            raw += more
        head, _, body = raw.partition(b"\\r\\n\\r\\n")
        length = [int(h.split(b":")[1]) for h in head.split(b"\\r\\n") if h.lower().startswith(b"content-length")]
        while length and len(body) < length[0]:
            body += line.recv(65536)
        method, path = head.decode().split()[:2]
        if method == "PUT":
            config[path.strip("/")] = json.loads(body)
        line.sendall(answer(method, path))
def said(status, body=b""):
    return b"HTTP/1.1 %d x\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, len(body)) + body
def obedient(method, path, **more):
    return said(204) if method == "PUT" else said(200, json.dumps({{**config, **more}}).encode())
{behaviour}
"""
FAULTS = {
    "no socket ever": ("time.sleep(60)", "no API socket within"),
    "an end at once": ("sys.exit('no /dev/kvm here')", "ended before it could be spoken to: no /dev/kvm here"),
    "no answer": ("serve(lambda method, path: time.sleep(60))", "did not answer PUT /machine-config within"),
    "an end in between": ("serve(lambda method, path: sys.exit(1))", "did not answer PUT /machine-config"),
    "no HTTP": ("serve(lambda method, path: b'hello\\n' * 9)", "did not answer PUT /machine-config"),
    "a no": (
        """serve(lambda method, path: said(400, b'{"fault_message": "too much memory"}'))""",
        r"refused PUT /machine-config \(400\): too much memory",
    ),
    "a no that is no JSON": (
        "serve(lambda method, path: said(500, b'[' * 9999))",
        r"refused PUT /machine-config \(500\)",
    ),
    "a yes of another kind": ("serve(lambda method, path: said(200))", r"refused PUT /machine-config \(200\)"),
    "a network card": (
        "serve(lambda m, p: obedient(m, p, **{'network-interfaces': [{'iface_id': 'eth0'}]}))",
        "network-interfaces that it was not told of",
    ),
    "a disk": ("serve(lambda m, p: obedient(m, p, drives=[{'drive_id': 'x'}]))", "drives that it was not told of"),
    "another kernel": (
        "serve(lambda m, p: obedient(m, p, **{'boot-source': {'kernel_image_path': '/other'}}))",
        "boot-source for something else",
    ),
    "no configuration": (
        "serve(lambda m, p: said(204) if m == 'PUT' else said(200, b'[]'))",
        "something else than an object",
    ),
    # Whose threads are just changing cannot be looked at, which is a no as well.
    "no jail": ("serve(obedient)", "not jailed: Uid is 0 0 0 0|jail cannot be looked at"),
}


def standing_in(
    folder: Path, monkeypatch, behaviour: str, engine="Firecracker v1.16.1", jailer="Jailer v1.16.1"
) -> None:
    """Programs of that name on the path."""
    folder.mkdir()
    for name, said in (("firecracker", engine), ("jailer", jailer)):
        (folder / name).write_text(STAND_IN.format(python=sys.executable, said=said, behaviour=behaviour))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@needs_namespaces
@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_goes_wrong_starts_nothing_and_leaves_nothing(tmp_path, monkeypatch, fault):
    behaviour, reason = FAULTS[fault]
    standing_in(tmp_path / "bin", monkeypatch, behaviour)
    monkeypatch.setattr(firecracker_api, "UP_S", 0.5 if fault == "no socket ever" else 10.0)
    monkeypatch.setattr(firecracker_api, "ANSWER_S", 0.5 if fault == "no answer" else 5.0)
    folder = written_down(tmp_path, b"kernel")
    adapter = FirecrackerAdapter(folder, cpu.WATCHDOG)
    probe = adapter.probe()
    assert not probe.is_available
    with pytest.raises(NotAvailable, match=reason):
        prepared(adapter, tmp_path)
    assert jails(folder) == []
    assert [p for p in processes.named(str(tmp_path)) if p != os.getpid()] == []


@pytest.mark.parametrize(
    ("engine", "jailer", "reason"),
    [
        ("Firecracker v1.4.0", "Jailer v1.4.0", "or newer is needed"),
        ("something else", "Jailer v1.16.1", "or newer is needed"),
        ("Firecracker v1.16.1", "", "or newer is needed"),
        ("Firecracker v1.16.1", "Jailer v1.17.0", "both have to be of one release"),
    ],
)
def test_programs_of_another_version_are_refused_by_name(tmp_path, monkeypatch, engine, jailer, reason):
    if os.geteuid() != 0 and "one release" in reason:
        pytest.skip("needs root")
    standing_in(tmp_path / "bin", monkeypatch, "", engine, jailer)
    adapter = FirecrackerAdapter(written_down(tmp_path, b"kernel"))
    with pytest.raises(WrongEngine, match=reason) as refused:
        prepared(adapter, tmp_path)
    assert str(tmp_path / "bin") in str(refused.value)
    assert not adapter.probe().is_available


@pytest.mark.parametrize("missing", ["firecracker", "jailer"])
def test_a_program_that_is_not_there_is_named_and_nothing_runs_without_the_jailer(tmp_path, monkeypatch, missing):
    standing_in(tmp_path / "bin", monkeypatch, "")
    (tmp_path / "bin" / missing).unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    adapter = FirecrackerAdapter(written_down(tmp_path, b"kernel"))
    with pytest.raises(NotAvailable, match=f"there is no {missing} on the path"):
        prepared(adapter, tmp_path)
    assert f"there is no {missing}" in adapter.booted().reason


def test_without_what_makes_namespaces_nothing_starts(tmp_path, monkeypatch):
    standing_in(tmp_path / "bin", monkeypatch, "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(NotAvailable, match=r"started by root|there is no setpriv on the path"):
        prepared(FirecrackerAdapter(written_down(tmp_path, b"kernel")), tmp_path)


def test_what_another_version_of_the_adapter_kept_counts_as_nothing(tmp_path, monkeypatch):
    standing_in(tmp_path / "bin", monkeypatch, "")
    adapter = FirecrackerAdapter(written_down(tmp_path, b"kernel"))
    yes = {"is_available": True, "boundary": "vm-kvm", "reason": "x", "engine": "x"}
    for kept in ("[]", "null", "{", json.dumps({"probe": yes}), json.dumps({"probe": yes, "seen_with": {}})):
        (tmp_path / "firecracker" / "probe.json").write_text(kept)
        assert not adapter.booted().is_available


def test_a_log_that_is_no_file_of_the_jail_s_is_not_read(tmp_path):
    """Who got out of a guest may put a link there; the reason for a refusal must not be a file of the host's."""
    secret = tmp_path / "secret"
    secret.write_text("canary-of-the-host")
    (tmp_path / "root").mkdir()
    opened = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    try:
        assert jail.log_of(opened) == b""
        (tmp_path / "root" / "log").symlink_to(secret)
        assert jail.log_of(opened) == b""
        (tmp_path / "root" / "log").unlink()
        os.mkfifo(tmp_path / "root" / "log")
        assert jail.log_of(opened) == b""
        (tmp_path / "root" / "log").unlink()
        (tmp_path / "root" / "log").write_bytes(b"x" * 9000 + b"the end")
        assert jail.log_of(opened).endswith(b"the end")
        assert len(jail.log_of(opened)) == 4096
    finally:
        os.close(opened)
