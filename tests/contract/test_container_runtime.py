"""The gVisor adapter on a real `runsc`: what it starts, what it stops, and what a guest does not get."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import time

import pytest

from runtime_adapters import gvisor, processes
from runtime_adapters.container import ContainerAdapter
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, NotWhatWasDecided, RuntimeRefusal
from runtime_adapters.rootfs import unpacked
from tests.contract.layouts import tar
from tests.contract.roots import BUSYBOX, ECHO, answering, archive, starting

CAPS = Caps(cpu=0.5, memory_mib=64, timeout_ms=8000, storage_mib=4)
needs_runsc = pytest.mark.skipif(
    shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
    reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return ContainerAdapter(tmp_path_factory.mktemp("gvisor"))


@pytest.fixture
def started(adapter, tmp_path):
    with starting(adapter, tmp_path, "container", CAPS) as start:
        yield start


@needs_runsc
def test_the_probe_starts_a_sandbox(adapter):
    probe = adapter.probe()
    assert probe.is_available, probe.reason
    assert probe.boundary == "gvisor"


@needs_runsc
def test_a_request_goes_in_and_the_answer_comes_out(started):
    instance = started(ECHO)
    assert [instance.call(body).output for body in (b"one", b"second call")] == [b"one", b"second call"]
    assert instance.observe().calls == 2


@needs_runsc
@pytest.mark.parametrize(
    ("command", "refused"),
    [
        ("cat /etc/shadow /etc/passwd", "No such file"),
        ("touch /bin/new", "Read-only|ermission denied"),
        ("dd if=/dev/zero of=/dev/big bs=1M count=64", "ermission denied"),
        ("dd if=/dev/zero of=/dev/shm/big bs=1M count=64", "ermission denied"),
        ("mount -t tmpfs x /proc", "ermission denied|not permitted"),
        ("nc -w 2 192.0.2.1 80", "unreachable|can't connect|ermission"),
        ("nc -w 2 127.0.0.1 22", "can't connect|unreachable|refused"),
        ("cat /dev/kmsg /dev/mem", "No such file|ermission"),
        ("dd if=/dev/zero of=/tmp/big bs=1M count=64", "No space"),
    ],
)
def test_what_is_outside_is_not_reached(started, command, refused):
    import re

    outcome = started(answering(command)).call(b"")
    assert outcome.status == "done", outcome
    assert re.search(refused, outcome.output.decode()), outcome.output


@needs_runsc
def test_an_app_starts_no_more_processes_than_it_may(started):
    """Each is one of the host's as well."""
    many = "id -u; for n in $(busybox seq 150); do sleep 3 & done; echo all of them"
    outcome = started(answering(many), caps=CAPS._replace(memory_mib=512, cpu=1.0, timeout_ms=20_000)).call(b"")
    assert outcome.status == "done", outcome
    assert outcome.output.startswith(b"65534\n")
    assert b"can't fork" in outcome.output
    assert b"all of them" not in outcome.output


@needs_runsc
def test_the_host_s_environment_and_processes_are_not_seen(started, monkeypatch):
    monkeypatch.setenv("SECRET", "canary-value")
    outcome = started(answering("cat /proc/self/environ; ls /proc; cat /proc/version")).call(b"")
    assert b"canary-value" not in outcome.output
    assert len([word for word in outcome.output.split() if word.isdigit()]) < 12


@needs_runsc
def test_an_app_that_does_not_answer_is_killed_with_everything_of_it(started):
    instance = started("while true; do :; done", caps=CAPS._replace(timeout_ms=1500))
    assert instance.call(b"").status == "timeout"
    deadline = time.monotonic() + 20
    while processes.named(instance.name) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.named(instance.name) == []
    assert instance.call(b"").status == "exit"


@needs_runsc
def test_an_app_that_takes_too_much_memory_is_killed(started):
    hog = "read -r line; mkdir /tmp/x; x=a; while true; do x=$x$x; done"
    outcome = started(hog, caps=CAPS._replace(timeout_ms=20000)).call(b"")
    assert outcome.status in {"memory", "exit"}
    assert outcome.output == b""


@needs_runsc
def test_a_call_out_reaches_the_broker_and_comes_back(started):
    heard = []

    def broker(raw, left):
        heard.append((json.loads(raw), left))
        return b'{"ok":"from outside"}'

    script = """read -r line; echo '{"call": {"op": "kv.get", "key": "a"}}'; read -r answer
echo "{\\"answer\\": \\"$(echo "$answer" | base64 | tr -d '\\n')\\"}"; read -r line"""
    outcome = started(script, broker).call(b"")
    assert json.loads(outcome.output) == {"result": {"ok": "from outside"}}
    assert heard[0][0] == {"op": "kv.get", "key": "a"}


@needs_runsc
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("hello", "trap"),
        ('{"answer": "%%"}', "trap"),
        ('{"answer": 1}', "trap"),
        ('{"grant": {}}', "trap"),
        ("[]", "trap"),
    ],
)
def test_a_line_that_is_none_of_the_protocol_ends_the_call(started, line, status):
    assert started(f"read -r line; echo '{line}'; read -r line").call(b"").status == status


@needs_runsc
def test_an_app_that_ends_has_not_answered(started):
    outcome = started("echo to the log >&2; exit 3").call(b"")
    assert outcome.status == "exit"
    assert outcome.output == b""


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../outside", "content": b"x"},
        {"name": "app/../../outside", "content": b"x"},
        {"name": "dev/mem", "sort": tarfile.CHRTYPE},
        {"name": "pipe", "sort": tarfile.FIFOTYPE},
        {"name": "hard", "sort": tarfile.LNKTYPE, "link": "../../../etc/passwd"},
    ],
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path, member):
    raw = archive("true", [member])
    (tmp_path / "r.tar").write_bytes(raw)
    with pytest.raises(BadArtifact, match=r"leaves the root|device or pipe"):
        unpacked(Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest()), tmp_path / "roots")
    assert not (tmp_path / "outside").exists()


def test_a_link_out_of_the_archive_is_not_written_through(tmp_path):
    (tmp_path / "target").mkdir()
    members = [
        {"name": "exit", "sort": tarfile.SYMTYPE, "link": str(tmp_path / "target")},
        {"name": "exit/planted", "content": b"x"},
    ]
    raw = archive("true", members)
    (tmp_path / "r.tar").write_bytes(raw)
    with pytest.raises(BadArtifact, match="leaves the root"):
        unpacked(Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest()), tmp_path / "roots")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize(
    "planted",
    [
        {"content": b"planted"},
        {"sort": tarfile.DIRTYPE, "mode": 0o777},
        {"sort": tarfile.LNKTYPE, "link": "exit", "name": "hard"},
    ],
    ids=["a file", "a folder", "a hard link to it"],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_member_in_the_place_of_a_link_changes_nothing_behind_the_link(tmp_path, planted, is_folder):
    """The link's name comes once more: what is written or has its mode set is the archive's own, never the target."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700) if is_folder else target.write_bytes(b"of the host")
    target.chmod(0o700 if is_folder else 0o600)
    before = target.stat().st_mode
    raw = archive("true", [{"name": "exit", "sort": tarfile.SYMTYPE, "link": str(target)}, {"name": "exit", **planted}])
    (tmp_path / "r.tar").write_bytes(raw)
    artifact = Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest())
    if planted.get("sort") == tarfile.LNKTYPE:
        with pytest.raises(BadArtifact, match="hard link"):
            unpacked(artifact, tmp_path / "roots")
    else:
        root = unpacked(artifact, tmp_path / "roots")
        assert not (root / "exit").is_symlink()
    assert target.stat().st_mode == before
    assert is_folder or target.read_bytes() == b"of the host"


def test_modes_are_set_whoever_unpacks(tmp_path):
    """Also of folders that no member stands for, and of a root that was unpacked by an older host."""
    raw = archive("true", [{"name": "deep/down/file", "content": b"x", "mode": 0o600}])
    (tmp_path / "r.tar").write_bytes(raw)
    artifact = Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest())
    before = os.umask(0o077)
    try:
        root = unpacked(artifact, tmp_path / "roots")
        places = [root, root / "app" / "run", root / "deep", root / "deep" / "down", root / "deep" / "down" / "file"]
        modes = [place.stat().st_mode & 0o777 for place in places]
        root.chmod(0o700)
        again = unpacked(artifact, tmp_path / "roots").stat().st_mode & 0o777
    finally:
        os.umask(before)
    assert modes == [0o755, 0o755, 0o755, 0o755, 0o644]
    assert again == 0o755


@pytest.mark.parametrize("raw", [b"", b"not a tar", archive("true")[:20_000]])
def test_what_is_no_whole_archive_is_refused_or_empty(tmp_path, raw):
    (tmp_path / "r.tar").write_bytes(raw)
    artifact = Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest())
    with pytest.raises(BadArtifact, match="not a tar archive"):
        unpacked(artifact, tmp_path / "roots")
    assert not [path for path in (tmp_path / "roots").glob("*") if path.is_dir()]


def test_a_changed_archive_is_not_what_was_decided(tmp_path):
    (tmp_path / "r.tar").write_bytes(archive("true"))
    with pytest.raises(NotWhatWasDecided):
        unpacked(Artifact(str(tmp_path / "r.tar"), "0" * 64), tmp_path / "roots")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_an_artifact_that_is_no_plain_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "r.tar")
    with pytest.raises(BadArtifact, match="not a plain file"):
        unpacked(Artifact(str(tmp_path / "r.tar"), "0" * 64), tmp_path / "roots")


def test_a_plan_for_another_boundary_is_refused(adapter, tmp_path):
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ())
    with pytest.raises(RuntimeRefusal, match="wasm"):
        adapter.prepare(plan, Artifact(str(tmp_path / "r.tar"), "0" * 64))


def test_an_app_looks_into_its_root_whatever_the_umask_of_who_unpacks_it(tmp_path):
    """Also into folders that the archive only implies."""
    path, raw = tmp_path / "rootfs.tar", tar(("deep/er/app", b"x"))
    path.write_bytes(raw)
    before = os.umask(0o077)
    try:
        root = unpacked(Artifact(str(path), hashlib.sha256(raw).hexdigest()), tmp_path / "home" / "kept")
    finally:
        os.umask(before)
    modes = [root / name for name in ("", "deep", "deep/er", "deep/er/app")]
    assert [path.stat().st_mode & 0o777 for path in modes] == [0o755, 0o755, 0o755, 0o644]
    assert root.parent.stat().st_mode & 0o077 == 0
