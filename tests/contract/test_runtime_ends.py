"""How sandboxes of real engines end: at their share of processor time, with their adapter, under the hand of somebody else."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime_adapters import cpu, gvisor, jail, processes
from runtime_adapters.container import ContainerAdapter
from runtime_adapters.fair_share import Share
from runtime_adapters.firecracker import FirecrackerAdapter
from runtime_adapters.microvm import QEMU, MicrovmAdapter
from runtime_adapters.owners import Owner
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.pool import Pool
from runtime_adapters.port import Artifact, NotAvailable, WrongEngine
from tests.contract.machine_folders import NEEDS_FIRECRACKER, NEEDS_QEMU, firecracker_folder, machine_folder
from tests.contract.roots import BUSYBOX, ECHO, archive

CAPS = Caps(cpu=0.5, memory_mib=64, timeout_ms=30_000, storage_mib=4)
SPIN = "while true; do :; done"
ADAPTERS = {"container": ContainerAdapter, "microvm": MicrovmAdapter, "firecracker": FirecrackerAdapter}
PROGRAMS = {"container": gvisor.RUNSC, "microvm": QEMU, "firecracker": jail.FIRECRACKER}
WATCHED = {
    "container": pytest.param(
        "container",
        marks=[
            pytest.mark.xdist_group("gvisor"),
            pytest.mark.skipif(
                shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
                reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
            ),
        ],
    ),
    "microvm": pytest.param("microvm", marks=[pytest.mark.slow, pytest.mark.xdist_group("microvm"), NEEDS_QEMU]),
    "firecracker": pytest.param(
        "firecracker", marks=[pytest.mark.slow, pytest.mark.xdist_group("microvm"), NEEDS_FIRECRACKER]
    ),
}
each_engine = pytest.mark.parametrize("runtime", WATCHED.values())
needs_groups = pytest.mark.skipif(cpu.control().parent is None, reason="no control group can be made here")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each adapter; the image of the microVM is made when somebody asks for it."""
    made: dict[str, Path] = {}
    folder_for = {"microvm": machine_folder, "firecracker": firecracker_folder}

    def folder(runtime):
        if runtime not in made:
            made[runtime] = folder_for.get(runtime, lambda factory: factory.mktemp(runtime))(tmp_path_factory)
        return made[runtime]

    return folder


def prepared(adapter, folder, script, caps=CAPS):
    raw = archive(script)
    path = folder / "rootfs.tar"
    path.write_bytes(raw)
    plan = RuntimePlan("lunch", "marketing", "id-1", adapter.name, caps, ())
    return adapter.prepare(plan, Artifact(str(path), hashlib.sha256(raw).hexdigest()))


def broker(_raw, _left):
    return b'{"ok":1}'


@needs_groups
@each_engine
def test_a_guest_that_spins_runs_at_its_share(folders, tmp_path, runtime):
    """Bounds from above alone: a busy host makes the guest slower, never faster."""
    caps = CAPS._replace(cpu=0.1, timeout_ms=4000)
    ready = prepared(ADAPTERS[runtime](folders(runtime)), tmp_path, SPIN, caps)
    assert ready.attest().cpu_held_by == cpu.control().kind
    instance = ready.start(broker)
    before, started = sandbox_ms(folders(runtime)), time.monotonic()
    try:
        assert instance.call(b"").status == "timeout"
    finally:
        instance.stop()
    took_ms = 1000 * (time.monotonic() - started)
    assert instance.observe().cpu_ms - before <= 0.2 * took_ms
    assert not list(cpu.control().parent.glob(f"microapp-*{sandbox_owner(folders(runtime))}*"))


def owners(folder: Path) -> Path:
    ours = folder / "firecracker" / "owners"
    return ours if ours.exists() else folder / "owners"


def sandbox_owner(folder: Path) -> str:
    return max(owners(folder).iterdir(), key=lambda path: path.stat().st_mtime).name


def sandbox_ms(folder: Path) -> float:
    """Processor time of everything that runs for `folder`'s latest adapter: the boot, where there is one."""
    return max(0.0, processes.cpu_ms(processes.with_descendants(processes.named(f"{sandbox_owner(folder)}-"))))


@each_engine
def test_without_a_control_group_a_guest_that_spins_is_killed_when_its_budget_is_spent(folders, tmp_path, runtime):
    caps = CAPS._replace(cpu=0.01, timeout_ms=60_000)
    ready = prepared(ADAPTERS[runtime](folders(runtime), cpu.WATCHDOG), tmp_path, SPIN, caps)
    assert ready.attest().cpu_held_by == "watchdog"
    instance = ready.start(broker)
    try:
        outcome = instance.call(b"")
    finally:
        instance.stop()
    assert outcome.status == "fuel", outcome
    assert "share of processor time" in outcome.detail


@each_engine
def test_the_watchdog_lets_a_guest_that_waits_live(folders, tmp_path, runtime):
    ready = prepared(ADAPTERS[runtime](folders(runtime), cpu.WATCHDOG), tmp_path, ECHO)
    instance = ready.start(broker)
    try:
        assert [instance.call(body).output for body in (b"one", b"two")] == [b"one", b"two"]
    finally:
        instance.stop()


@each_engine
@pytest.mark.parametrize("cores", [0.0, -1.0, 0.0001, float("nan"), float("inf")])
def test_a_cap_that_nobody_can_hold_starts_nothing(folders, tmp_path, runtime, cores):
    for control in (None, cpu.WATCHDOG, cpu.Control("cgroup-v2", tmp_path / "no such hierarchy")):
        adapter = ADAPTERS[runtime](folders(runtime), control)
        ready = prepared(adapter, tmp_path, ECHO, CAPS._replace(cpu=cores))
        with pytest.raises(NotAvailable, match="cannot be held"):
            ready.start(broker)


@each_engine
def test_a_group_that_cannot_be_made_starts_nothing(folders, tmp_path, runtime):
    adapter = ADAPTERS[runtime](folders(runtime))
    ready = prepared(adapter, tmp_path, ECHO)
    lost = ADAPTERS[runtime](folders(runtime), cpu.Control("cgroup-v2", tmp_path / "no such hierarchy"))
    with pytest.raises(NotAvailable, match="cannot be held"):
        prepared(lost, tmp_path, ECHO).start(broker)
    instance = ready.start(broker)
    instance.stop()


@pytest.mark.parametrize(
    ("kind", "cores", "written"),
    [
        ("cgroup-v2", 0.5, {"cpu.max": "50000 100000"}),
        ("cgroup-v2", 0.001, {"cpu.max": "1000 1000000"}),
        ("cgroup-v1", 2.0, {"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}),
    ],
)
def test_a_quota_is_written_as_the_kernel_reads_it(tmp_path, kind, cores, written):
    """Formats: kernel documentation, "Control Group v2" (cpu.max) and "CFS Bandwidth Control"."""
    group = cpu.Control(kind, tmp_path).group("one", cores)
    assert group is not None
    assert {path.name: path.read_text() for path in group.path.iterdir()} == written


def test_what_was_saved_is_one_call_s_budget_at_most():
    budget = cpu.Budget(cores=0.5, timeout_s=2.0, start_s=3.0, now=0.0)
    assert not budget.is_spent(4.0, 0.0)  # its own second, and what the start may take
    assert not budget.is_spent(4.0, 1000.0)
    assert not budget.is_spent(5.0, 1000.0)
    assert budget.is_spent(5.1, 1000.0)


OWNER = """
import sys
from pathlib import Path
from tests.contract.test_runtime_ends import ADAPTERS, SPIN, broker, prepared
folder, runtime = Path(sys.argv[1]), sys.argv[2]
instance = prepared(ADAPTERS[runtime](folder), Path(sys.argv[3]), SPIN).start(broker)
print("started", flush=True)
instance.call(b"")
"""


@each_engine
def test_nothing_outlives_an_adapter_that_was_killed(folders, tmp_path, runtime):
    """A real kill -9 of the process that holds the adapter, in the middle of a call; the next adapter cleans up."""
    folder = folders(runtime)
    others = ADAPTERS[runtime](folder)
    living = prepared(others, tmp_path, ECHO).start(broker)
    command = [sys.executable, "-c", OWNER, str(folder), runtime, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        name = f"{sandbox_owner(folder)}-"
        started = all_running(name, runtime)
        owner.send_signal(signal.SIGKILL)
    kept = (
        folder / {"container": "bundles", "microvm": "running", "firecracker": "firecracker/jails/firecracker"}[runtime]
    )
    assert [path for path in kept.iterdir() if path.name.startswith(name)]
    ADAPTERS[runtime](folder)
    gone_within(started, 20)
    assert not [path for path in kept.iterdir() if path.name.startswith(name)]
    assert not (owners(folder) / name.rstrip("-")).exists()
    if cpu.control().parent is not None:
        assert not list(cpu.control().parent.glob(f"microapp-{name}*"))
    try:
        assert living.call(b"still there").output == b"still there"
    finally:
        living.stop()


@pytest.mark.slow
@each_engine
def test_the_kernel_ends_what_a_killed_adapter_had_started(folders, tmp_path, runtime):
    """Nobody has to come and clean up for the machine to stop."""
    folder = folders(runtime)
    command = [sys.executable, "-c", OWNER, str(folder), runtime, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        started = all_running(f"{sandbox_owner(folder)}-", runtime)
        owner.send_signal(signal.SIGKILL)
    gone_within(started, 20)
    ADAPTERS[runtime](folder)


def all_running(name: str, runtime: str) -> list[int]:
    """Processes of a sandbox, once the app itself is one of them."""
    least, deadline = {"container": 4, "microvm": 1, "firecracker": 1}[runtime], time.monotonic() + 60
    while len(found := processes.with_descendants(processes.named(name))) < least:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def gone_within(started: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := [p for p in started if is_running(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_an_owner_is_gone_when_its_lock_is_open_and_never_before(tmp_path):
    ours, theirs = Owner(tmp_path), Owner(tmp_path)
    assert not ours.is_gone(theirs.new_name())
    assert not ours.is_gone(ours.new_name())
    assert ours.is_gone("0" * 32 + "-1")
    code = "import sys, pathlib, runtime_adapters.owners as o; print(o.Owner(pathlib.Path(sys.argv[1])).new_name())"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ours.is_gone(done.stdout.strip())
    ours.forget_the_gone()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
@each_engine
def test_an_engine_that_is_killed_under_load_is_said_to_be_and_the_next_call_starts_anew(folders, tmp_path, runtime):
    adapter = ADAPTERS[runtime](folders(runtime))
    hangs, echoes = prepared(adapter, tmp_path, SPIN), prepared(adapter, tmp_path, ECHO)
    pool = Pool(2, Share())
    try:
        hung = pool.call("marketing", "hangs", "1", lambda: hangs.start(broker), b"")
        busy = [pool.call("hr", "echoes", "1", lambda: echoes.start(broker), b"%d" % n) for n in range(5)]
        assert [future.result(120).output for future in busy] == [b"%d" % n for n in range(5)]
        name = f"{sandbox_owner(folders(runtime))}-"
        victims = [p for p in sorted(processes.named(name)) if spins(p)]
        processes.kill([victims[-1]])  # the latest of them is the sandbox's kernel
        outcome = hung.result(60)
        assert outcome.status == "killed", outcome
        assert "killed" in outcome.detail
        assert outcome.output == b""
        again = pool.call("hr", "echoes", "1", lambda: echoes.start(broker), b"again")
        assert again.result(60).output == b"again"
        anew = pool.call("marketing", "hangs", "2", lambda: echoes.start(broker), b"anew")
        assert anew.result(60).output == b"anew"
    finally:
        pool.close()


def test_a_probe_that_another_version_kept_counts_as_nothing(tmp_path):
    for kept in ('{"boot_id": "x", "image": {}}', "[]", "null", '{"seen_with": {}}'):
        (tmp_path / "probe.json").write_text(kept)
        assert not MicrovmAdapter(tmp_path).probe().is_available


def spins(process: int) -> bool:
    """Whether it, or what it started, takes processor time."""
    before = processes.cpu_ms(processes.with_descendants([process]))
    time.sleep(0.5)
    return processes.cpu_ms(processes.with_descendants([process])) - before >= 50


@pytest.mark.parametrize(
    ("runtime", "program", "said"),
    [
        ("container", gvisor.RUNSC, "runsc version release-20190101.0"),
        ("container", gvisor.RUNSC, "something else"),
        ("microvm", QEMU, "QEMU emulator version 4.2.1 (Debian)"),
        ("microvm", QEMU, ""),
    ],
)
def test_a_program_of_another_version_is_refused_by_name(tmp_path, monkeypatch, runtime, program, said):
    path = tmp_path / "bin" / program
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    adapter = ADAPTERS[runtime](tmp_path / "home")
    with pytest.raises(WrongEngine, match="or newer is needed") as refused:
        prepared(adapter, tmp_path, ECHO)
    assert str(path) in str(refused.value)
    assert refused.value.code == "runtime_wrong_version"
    probe = adapter.probe()
    assert not probe.is_available
    assert "or newer is needed" in probe.reason


@pytest.mark.parametrize(
    ("runtime", "program", "said"),
    [
        ("container", gvisor.RUNSC, "runsc version release-20240101.0"),
        ("container", gvisor.RUNSC, "runsc version 0.0~20221219.0"),
        ("microvm", QEMU, "QEMU emulator version 10.0.2 (Debian)"),
    ],
)
def test_a_newer_version_is_not_what_keeps_a_program_out(tmp_path, monkeypatch, runtime, program, said):
    """The stand-in can do nothing but say its version: the probe gets as far as trying to start something."""
    path = tmp_path / program
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    probe = ADAPTERS[runtime](tmp_path / "home").probe()
    assert not probe.is_available
    assert "or newer is needed" not in probe.reason
    assert probe.reason != ""


@pytest.mark.parametrize("runtime", ADAPTERS)
def test_a_program_that_is_not_there_is_named(tmp_path, monkeypatch, runtime):
    adapter = ADAPTERS[runtime](tmp_path / "home")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAvailable, match=r"apt-get install|there is no firecracker"):
        prepared(adapter, tmp_path, ECHO)


@each_engine
def test_a_program_that_was_exchanged_is_asked_again(folders, tmp_path, monkeypatch, runtime):
    """What is attested is the engine that starts, not the one of an hour ago."""
    adapter = ADAPTERS[runtime](folders(runtime))
    prepared(adapter, tmp_path, ECHO)
    path = tmp_path / "bin" / PROGRAMS[runtime]
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'version 1.0'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(WrongEngine):
        prepared(adapter, tmp_path, ECHO)
