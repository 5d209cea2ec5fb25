"""Machines that come back from a snapshot: nothing of one is another's, and what was changed is not used."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import time

import pytest

from runtime_adapters import microvm_guest
from runtime_adapters.microvm import MicrovmAdapter
from runtime_adapters.microvm_image import build
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, NotAvailable, NotWhatWasDecided
from tests.contract.machine_folders import machine_folder
from tests.contract.roots import ECHO, answering, archive, starting
from tests.contract.test_microvm_runtime import boots

CAPS = Caps(cpu=0.5, memory_mib=64, timeout_ms=20_000, storage_mib=4)
# What a kernel draws by itself, where a program's stack is put, and what it asks for.
CHANCE = """cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; busybox grep stack /proc/self/maps
head -c 4096 /dev/urandom | base64 | tr -d '\\n'"""
RENEWS = "renew <&3 4> /dev/urandom"


def built(tmp_path_factory, init: str = ""):
    """A folder with an image, whose first program is `init` where one is given."""
    if not init:
        return machine_folder(tmp_path_factory)
    folder, kept = tmp_path_factory.mktemp("microvm"), microvm_guest.INIT
    microvm_guest.INIT = init
    try:
        build(folder)
    except NotAvailable as error:
        pytest.skip(f"no image: {error}")
    finally:
        microvm_guest.INIT = kept
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return built(tmp_path_factory)


@pytest.fixture
def snapshot(folder):
    """The one snapshot there is, whole again afterwards."""
    adapter = MicrovmAdapter(folder)
    assert "came back from its snapshot" in adapter.probe().reason
    prepared(adapter, folder)
    (found,) = [path for path in (folder / "snapshots").iterdir() if (path / "memory").stat().st_size == 176 << 20]
    kept = {path: path.read_bytes() for path in found.iterdir()}
    yield found
    for path, content in kept.items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)


def prepared(adapter, folder, script=ECHO, caps=CAPS):
    raw = archive(script)
    (folder / "rootfs.tar").write_bytes(raw)
    plan = RuntimePlan("lunch", "marketing", "id-1", "microvm", caps, ())
    return adapter.prepare(plan, Artifact(str(folder / "rootfs.tar"), hashlib.sha256(raw).hexdigest()))


def drawn(adapter, tmp_path, count: int) -> list[list[str]]:
    """What `count` machines of one app drew, all of them alive at the same time."""
    with starting(adapter, tmp_path, "microvm", CAPS) as start:
        machines = [start(answering(CHANCE)) for _ in range(count)]
        return [machine.call(b"").output.decode().split("\n") for machine in machines]


@boots
def test_machines_of_one_snapshot_share_no_chance(folder, tmp_path):
    """Also between two adapters, which come back from the same file. Guests that were not renewed drew the same here."""
    found = [drawn(MicrovmAdapter(folder), tmp_path, 2), drawn(MicrovmAdapter(folder), tmp_path, 1)]
    draws = list(itertools.chain(*found))
    assert [len(draw) for draw in draws] == [4, 4, 4]
    for one in range(4):
        assert len({draw[one] for draw in draws}) == 3, draws
    blocks = [draw[3][at : at + 8] for draw in draws for at in range(0, 5456, 8)]
    assert len(set(blocks)) == len(blocks)


@boots
def test_a_machine_finds_nothing_of_an_app_that_came_back_before_it(folder, tmp_path):
    """All that its kernel lets it see of memory as a device is the region of its own archive."""
    adapter, seen = MicrovmAdapter(folder), "busybox dd if=/dev/mem bs=64k skip=1024 count=256"
    with starting(adapter, tmp_path, "microvm", CAPS) as start:
        assert (
            start(answering(f": of-the-first; {seen} | busybox grep -a -c of-the-first")).call(b"").output[-2:]
            != b"0\n"
        )
        second = start(answering(f"{seen} | busybox grep -a -c of-the-[f]irst")).call(b"")
        assert second.output.split(b"\n")[-2] == b"0", second


@boots
def test_a_guest_that_cannot_renew_starts_no_app(tmp_path_factory, tmp_path):
    """Its probe says why, and nothing is prepared."""
    deaf = microvm_guest.INIT.replace(RENEWS, "renew < /dev/null 4> /dev/urandom")
    adapter = MicrovmAdapter(built(tmp_path_factory, deaf))
    with pytest.raises(NotAvailable, match="randomness, time or its archive"):
        prepared(adapter, tmp_path)


@boots
def test_an_image_of_an_older_version_is_not_used(tmp_path_factory, tmp_path):
    old = microvm_guest.INIT.replace('"$handover"', '""')
    with pytest.raises(NotAvailable, match="build-image makes it anew"):
        prepared(MicrovmAdapter(built(tmp_path_factory, old)), tmp_path)


@boots
def test_what_is_attested_is_the_snapshot_on_disk_and_one_serves_all_of_its_shape(folder, snapshot, tmp_path):
    adapters = [MicrovmAdapter(folder), MicrovmAdapter(folder)]
    attested = [prepared(adapter, tmp_path).attest().digests for adapter in adapters]
    attested += [prepared(adapters[0], tmp_path, "true", CAPS._replace(cpu=0.1, storage_mib=1)).attest().digests]
    written = json.loads((snapshot / "snapshot.json").read_text())
    for digests in attested:
        assert digests["snapshot-memory"] == written["snapshot-memory"]
        assert digests["snapshot-state"] == written["snapshot-state"]
    assert snapshot.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in snapshot.iterdir()} == {0}
    assert not set(prepared(MicrovmAdapter(folder, uses_snapshots=False), tmp_path).attest().digests) & set(written)


@boots
@pytest.mark.parametrize("name", ["memory", "state"])
@pytest.mark.parametrize("change", ["flipped", "cut", "longer", "gone", "readable", "a link", "a pipe"])
def test_a_snapshot_that_was_changed_is_refused_by_name(folder, snapshot, tmp_path, name, change):
    path = snapshot / name
    raw = bytearray(path.read_bytes())
    held = MicrovmAdapter(folder)
    before = prepared(held, tmp_path).attest().digests
    if change == "flipped":
        raw[len(raw) // 3] ^= 1
        path.write_bytes(raw)
    elif change in {"cut", "longer"}:
        os.truncate(path, len(raw) + (4096 if change == "longer" else -4096))
    elif change == "readable":
        path.chmod(0o644)
    else:
        path.rename(tmp_path / name)
        if change == "a link":
            path.symlink_to(tmp_path / name)
        elif change == "a pipe":
            os.mkfifo(path, 0o600)
    with pytest.raises(NotWhatWasDecided, match="remove it and one is made anew") as refused:
        prepared(MicrovmAdapter(folder), tmp_path)
    assert str(snapshot) in str(refused.value)
    # Who measured it before has it in sealed memory.
    instance = (ready := prepared(held, tmp_path)).start(lambda _raw, _left: b"{}")
    try:
        assert ready.attest().digests == before
        assert instance.call(b"still").output == b"still"
    finally:
        instance.stop()


@boots
def test_a_snapshot_of_another_shape_does_not_pass_for_this_one(folder, snapshot, tmp_path):
    """Its digests are right for what it is; its name is not."""
    prepared(MicrovmAdapter(folder), tmp_path, caps=CAPS._replace(memory_mib=65))
    (other,) = [path for path in (folder / "snapshots").iterdir() if (path / "memory").stat().st_size == 177 << 20]
    for part in ("memory", "state", "snapshot.json"):
        (snapshot / part).write_bytes((other / part).read_bytes())
    with pytest.raises(NotWhatWasDecided, match="remove it"):
        prepared(MicrovmAdapter(folder), tmp_path)


@boots
def test_few_snapshots_are_kept_and_another_start_of_the_host_uses_none_of_them(folder, tmp_path, monkeypatch):
    adapter = MicrovmAdapter(folder)
    for memory in (70, 71, 72, 73):
        prepared(adapter, tmp_path, caps=CAPS._replace(memory_mib=memory))
    found = {path.name for path in (folder / "snapshots").iterdir()}
    assert len(found) == 4
    monkeypatch.setattr("runtime_adapters.microvm_snapshots.boot_id", lambda: "another")
    prepared(MicrovmAdapter(folder), tmp_path, caps=CAPS._replace(memory_mib=73))
    assert {path.name for path in (folder / "snapshots").iterdir()} - found


@boots
def test_a_full_disk_costs_a_boot_and_no_app(tmp_path_factory, tmp_path):
    folder = built(tmp_path_factory)
    (folder / "snapshots").write_text("no folder can be made here")
    instance = prepared(MicrovmAdapter(folder), tmp_path).start(lambda _raw, _left: b"{}")
    try:
        assert instance.call(b"there").output == b"there"
    finally:
        instance.stop()


@pytest.mark.parametrize(
    "given", [b"", b"short", b"\0" * 87, microvm_guest.renewal(0)], ids=["none", "short", "zeros", "whole"]
)
def test_what_renews_a_guest_says_when_it_could_not(tmp_path, given):
    """On this host and without rights, it cannot: too few bytes, or a descriptor that is no random device."""
    program = tmp_path / "renew"
    program.write_bytes(microvm_guest.renew_program())
    program.chmod(0o755)
    done = subprocess.run([program], input=given, check=False, timeout=20)
    assert done.returncode == 1


def test_a_renewal_is_fresh_each_time_and_carries_the_time():
    now = time.time_ns()
    one, two = microvm_guest.renewal(now), microvm_guest.renewal(now)
    assert len(one) == len(two) == 88
    assert one[:8] == (512).to_bytes(4, "little") + (64).to_bytes(4, "little")
    assert one[8:72] != two[8:72]
    assert int.from_bytes(one[72:80], "little") * 10**9 + int.from_bytes(one[80:], "little") == now
