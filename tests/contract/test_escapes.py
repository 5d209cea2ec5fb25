"""Attempts to get out of every sandbox, counted: none may get through, and most would where files are granted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import threading

import pytest
import wasmtime

from governance.platform.broker.app_storage import Store
from governance.platform.broker.guests import broker_for
from governance.platform.broker.tokens import Caller
from runtime_adapters import gvisor
from runtime_adapters.container import ContainerAdapter
from runtime_adapters.firecracker import FirecrackerAdapter
from runtime_adapters.microvm import MicrovmAdapter
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, Outcome
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract import guests
from tests.contract.escapes import ATTEMPTS, CANARY, REQUESTS
from tests.contract.machine_folders import NEEDS_FIRECRACKER, NEEDS_QEMU, firecracker_folder, machine_folder
from tests.contract.roots import BUSYBOX, answering, archive

CAPS = Caps(cpu=0.25, memory_mib=16, timeout_ms=2000, storage_mib=4)
ORDINARY = [attempt for attempt in ATTEMPTS if attempt.is_ordinary]


def called(adapter, folder, raw: bytes, runtime: str, caps: Caps, request: bytes = b"", broker=None) -> Outcome | None:
    """What came of one call, None where nothing was started."""
    path = folder / "artifact"
    path.write_bytes(raw)
    plan = RuntimePlan("lunch", "marketing", "id-1", runtime, caps, ())
    try:
        instance = adapter.prepare(plan, Artifact(str(path), hashlib.sha256(raw).hexdigest())).start(
            broker or (lambda _raw, _left: b'{"ok":1}')
        )
    except BadArtifact:
        return None
    try:
        return instance.call(request)
    finally:
        instance.stop()


@pytest.fixture(scope="module")
def wasm(tmp_path_factory):
    """An adapter whose pooled memory somebody else has just written full."""
    adapter = WasmAdapter(tmp_path_factory.mktemp("wasm") / "code")
    victim = guests.module(
        "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"
        "(memory.fill (i32.const 0) (i32.const 90) (i32.shl (memory.size) (i32.const 16)))"
    )
    for _ in range(3):
        outcome = called(adapter, tmp_path_factory.mktemp("victim"), victim, "wasm", CAPS._replace(cpu=4))
        assert outcome is not None
        assert outcome.status == "done"
    return adapter


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_no_attempt_gets_out_of_wasm(wasm, tmp_path, monkeypatch, attempt):
    monkeypatch.setenv("SECRET", CANARY.decode())
    (tmp_path / "secret.txt").write_bytes(CANARY)
    monkeypatch.chdir(tmp_path)
    outcome = called(wasm, tmp_path, attempt.module(), "wasm", CAPS)
    if outcome is None:
        return
    assert not (outcome.status == "done" and attempt.reached(outcome.output)), outcome
    assert CANARY not in outcome.output
    assert CANARY.decode() not in outcome.log + outcome.detail
    assert (tmp_path / "secret.txt").read_bytes() == CANARY
    assert sorted(os.listdir(tmp_path)) == ["artifact", "secret.txt"]


@pytest.mark.parametrize("attempt", ORDINARY, ids=lambda attempt: attempt.name)
def test_the_same_attempt_gets_through_where_a_folder_and_variables_are_granted(tmp_path, attempt):
    """The control: a module that could never reach anything would prove nothing."""
    inside = tmp_path / "inside"
    (inside / "empty").mkdir(parents=True)
    (inside / "secret.txt").write_bytes(CANARY)
    (inside / "link").symlink_to("secret.txt")
    config = wasmtime.WasiConfig()
    config.preopen_dir(str(inside), "/")
    config.env = [("SECRET", CANARY.decode())]
    config.argv = ["app", CANARY.decode()]
    config.stdout_file = str(tmp_path / "said")
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    i32 = wasmtime.ValType.i32()
    linker.define_func("microapp_v1", "call", wasmtime.FuncType([i32] * 4, [i32]), lambda *_: 0)
    store = wasmtime.Store(engine)
    store.set_wasi(config)
    instance = linker.instantiate(store, wasmtime.Module(engine, attempt.module()))
    instance.exports(store)["_start"](store)
    assert attempt.reached((tmp_path / "said").read_bytes())


def test_there_are_enough_attempts_and_the_control_covers_its_share():
    assert len(ATTEMPTS) + len(REQUESTS) >= 40
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS)
    assert len(ORDINARY) >= 15
    assert len(SHELL) >= 50


@pytest.fixture(scope="module")
def loop():
    """The event loop that a broker lives in."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever, daemon=True)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


def stores(folder) -> Store:
    """The store of where2eat, beside one in which another tenant keeps what is not to be seen."""
    payroll = Store(folder, Caller("payroll", "hr", "payroll-1"), 1000)
    assert payroll.put("salary", CANARY.decode())
    assert payroll.get("salary") == CANARY.decode()
    return Store(folder, Caller("where2eat", "marketing", "where2eat-1"), 1000)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_no_request_reaches_what_another_tenant_keeps(wasm, tmp_path, loop, request_):
    """The real broker's end; it gets as far as the store or not at all, so that no vendor is needed."""
    ask = broker_for(Caller("where2eat", "marketing", "where2eat-1"), None, loop, stores(tmp_path / "home"), "ab" * 16)
    outcome = called(wasm, tmp_path, guests.asking(request_), "wasm", CAPS, broker=ask)
    assert outcome is not None
    answer = json.loads(outcome.output)
    assert answer == {"ok": None} or answer["error"]["code"] == "bad_request"
    assert CANARY not in outcome.output


# Commands in a shell as root of the sandbox; `@` becomes the host's port that listens. The pattern is what only somebody
# who got through would be told.
SHELL = {
    "the host's users": ("cat /etc/passwd", "root:"),
    "the host's passwords": ("cat /etc/shadow", "root:"),
    "a file of the host by its path": ("cat %CANARY%", CANARY.decode()),
    "the same by climbing": ("cat ../../../../..%CANARY%", CANARY.decode()),
    "the same through the root of process 1": ("cat /proc/1/root%CANARY%", CANARY.decode()),
    "the same through our own root": ("cat /proc/self/root%CANARY%", CANARY.decode()),
    "the same through a link": ("busybox ln -s %CANARY% /tmp/l && cat /tmp/l", CANARY.decode()),
    "the same through a working folder": ("cat /proc/1/cwd/..%CANARY%", CANARY.decode()),
    "other processes' environment": ("cat /proc/*/environ", CANARY.decode()),
    "other processes' command lines": ("cat /proc/*/cmdline", "pytest"),
    "the host's parent process": ("ls /proc/%PID%/fd && echo through", "through"),
    "a signal to the host": ("busybox kill -0 %PID% && echo through", "through"),
    "the host's mounts": ("cat /proc/self/mountinfo", "%FOLDER%"),
    "write to the root": ("touch /new && echo through", "through"),
    "write to a program": ("echo x > /bin/busybox && echo through", "through"),
    "write to the app": ("echo x >> /app/run && echo through", "through"),
    "remount the root": ("mount -o remount,rw / && touch /new && echo through", "through"),
    "mount memory": ("mount -t tmpfs x /proc && echo through", "through"),
    "mount the host's processes": ("mkdir /tmp/p; mount -t proc x /tmp/p && echo through", "through"),
    "bind the root": ("mkdir /tmp/b; mount -o bind / /tmp/b && echo through", "through"),
    "a device for the memory": ("busybox mknod /tmp/m c 1 1 && head -c 1 /tmp/m && echo through", "through"),
    "a device for a disk": ("busybox mknod /tmp/d b 8 0 && head -c 1 /tmp/d && echo through", "through"),
    "the kernel's memory": ("head -c 1 /dev/mem && echo through", "through"),
    "the kernel's log": ("head -c 1 /dev/kmsg && echo through", "through"),
    "the kernel's symbols": ("head -c 1 /proc/kcore && echo through", "through"),
    "a setting of the kernel": ("echo 1 > /proc/sys/kernel/panic && echo through", "through"),
    "a core pattern": ("echo '|/bin/sh' > /proc/sys/kernel/core_pattern && echo through", "through"),
    "a restart": ("echo b > /proc/sysrq-trigger && echo through", "through"),
    "a module for the kernel": ("busybox insmod /bin/busybox && echo through", "through"),
    "another root": ("mkdir /tmp/r; busybox chroot /tmp/r /bin/sh -c 'echo through'", "through"),
    "another host name": ("busybox hostname other && echo through", "through"),
    "the clock": ("busybox date -s 2001-01-01 >/dev/null; busybox date +=%Y=", "=2001="),
    "a limit raised": ("ulimit -n 1000000 && echo through", "through"),
    "a loopback port of the host": ("echo x | busybox nc -w 1 127.0.0.1 %PORT% && echo through", "through"),
    "an address of the outside": ("echo x | busybox nc -w 1 192.0.2.1 80 && echo through", "through"),
    "the cloud's metadata": ("wget -T 1 -q -O - http://169.254.169.254/ && echo through", "through"),
    "ourselves under a forged name": (
        "wget -T 1 -q -O - --header 'Host: api.hris.example.com' http://127.0.0.1:%PORT%/ && echo through", "through"),
    "a name looked up": ("busybox nslookup api.hris.example.com 127.0.0.1 && echo through", "through"),
    "another network card": ("busybox ip link add x type dummy && echo through", "through"),
    "a socket of the host": ("busybox nc -w 1 local:%FOLDER%/socket && echo through", "through"),
    "a descriptor that was left open": (
        "for n in 4 5 6 7 8 9 10 11 12; do busybox timeout 1 cat /proc/self/fd/$n; done", CANARY.decode()),
    "the program that runs us": ("busybox cat /bin/busybox > /proc/self/exe && echo through", "through"),
    "the root as root of a user namespace": (
        "busybox unshare -U -r -m sh -c 'mount -o remount,rw /; touch /new && echo through'", "through"),
    "the namespaces of process 1": ("busybox nsenter -t 1 -m cat %CANARY%", CANARY.decode()),
    "the namespaces of a process of the host": ("busybox nsenter -t %PID% -m cat %CANARY%", CANARY.decode()),
    "a packet of our own": ("busybox ping -c 1 -W 1 192.0.2.1 && echo through", "through"),
    "the host's ports": ("head -c 1 /dev/port && echo through", "through"),
    "another serial line": ("for n in 1 2 3; do echo x > /dev/ttyS$n && echo through; done", "through"),
    "a disk of the host": (
        "cat /dev/vda /dev/sda /dev/sr0 /dev/fd0 /dev/nvme0n1 /dev/mtd0 | busybox grep -q . && echo through", "through"),
    "a file system that the host shares": (
        "mkdir /tmp/9; for t in 9p virtiofs; do mount -t $t host /tmp/9 && echo through; done", "through"),
    "a control group's release": ("mkdir /tmp/c; mount -t cgroup -o rdma x /tmp/c && echo through", "through"),
    "what the machine's firmware was told": (
        "mkdir /tmp/s; mount -t sysfs x /tmp/s; ls /tmp/s/firmware/qemu_fw_cfg | busybox grep -q by_ && echo through",
        "through"),
    "memory behind our own": ("dd if=/dev/mem bs=1M skip=100000 count=1 && echo through", "through"),
    "storage beside the storage": (
        "for d in /dev /dev/shm /dev/net /run /var /sys; do dd if=/dev/zero of=$d/b bs=1M count=16 && echo through; done",
        "through"),
    "all of the storage": ("dd if=/dev/zero of=/tmp/big bs=1M count=64 && echo through", "through"),
}  # fmt: skip


# Inside a virtual machine an app is root of a kernel of its own, and may do these to that one.
OF_ITS_OWN = {"write to the root", "write to a program", "write to the app", "remount the root", "mount memory",
              "mount the host's processes", "bind the root", "a device for the memory", "a device for a disk",
              "the kernel's memory", "the kernel's log", "the kernel's symbols", "a setting of the kernel", "a core pattern",
              "a restart", "a module for the kernel", "another root", "another host name", "the clock", "a limit raised",
              "another network card", "all of the storage", "the program that runs us",
              "the root as root of a user namespace", "the host's ports", "a control group's release",
              "storage beside the storage"}  # fmt: skip


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """What lies outside: a file, a variable, a port that counts who comes."""
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    (folder / "secret.txt").write_bytes(CANARY)
    (folder / "secret.txt").chmod(0o644)
    os.environ["ESCAPE_SECRET"] = CANARY.decode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield folder, server
    del os.environ["ESCAPE_SECRET"]


def all_in_one(outside) -> str:
    """One program that tries everything in turn, since a sandbox takes its time to start: `== name`, what was told."""
    folder, server = outside
    places = {"%CANARY%": str(folder / "secret.txt"), "%FOLDER%": str(folder), "%PID%": str(os.getpid()),
              "%PORT%": str(server.getsockname()[1])}  # fmt: skip
    lines = [f'echo "== {name}"; ({command})' for name, (command, _) in SHELL.items()]
    script = "\n".join([*lines, 'echo "== control"; (echo through)', 'echo "== end"'])
    for mark, value in places.items():
        script = script.replace(mark, value)
    return script


def reached(said: str, outside) -> list[str]:
    """Names of the attempts that got through."""
    parts = dict(part.partition("\n")[::2] for part in said.split("== ")[1:])
    assert set(parts) == {*SHELL, "control", "end"}, said
    assert "through" in parts["control"]
    patterns = {name: pattern.replace("%FOLDER%", str(outside[0])) for name, (_, pattern) in SHELL.items()}
    found = [name for name, pattern in patterns.items() if re.search(pattern, parts[name], re.MULTILINE)]
    try:
        outside[1].accept()
    except BlockingIOError:
        return found
    return [*found, "a connection"]


@pytest.mark.skipif(
    shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
    reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
)
def test_no_attempt_gets_out_of_a_container(tmp_path, outside):
    caps = Caps(cpu=0.5, memory_mib=64, timeout_ms=60_000, storage_mib=4)
    raw = archive(answering(all_in_one(outside)))
    outcome = called(ContainerAdapter(tmp_path / "gvisor"), tmp_path, raw, "container", caps)
    assert outcome is not None
    assert outcome.status == "done", outcome
    assert reached(outcome.output.decode("utf-8", "replace"), outside) == []


MACHINES = {
    "from a snapshot": lambda factory: MicrovmAdapter(machine_folder(factory)),
    "booted": lambda factory: MicrovmAdapter(machine_folder(factory), uses_snapshots=False),
    "of Firecracker": lambda factory: FirecrackerAdapter(firecracker_folder(factory)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "machine",
    [pytest.param(name, marks=NEEDS_FIRECRACKER if "Fire" in name else NEEDS_QEMU) for name in MACHINES],
)
def test_no_attempt_gets_out_of_a_virtual_machine(tmp_path_factory, tmp_path, outside, machine):
    """Inside, the app is root of a machine of its own: what counts is what of the host it reaches."""
    caps = Caps(cpu=0.5, memory_mib=64, timeout_ms=120_000, storage_mib=4)
    raw = archive(answering(all_in_one(outside)))
    outcome = called(MACHINES[machine](tmp_path_factory), tmp_path, raw, "microvm", caps)
    assert outcome is not None
    assert outcome.status == "done", outcome
    assert set(reached(outcome.output.decode("utf-8", "replace"), outside)) <= OF_ITS_OWN
