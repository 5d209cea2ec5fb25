"""The microVM adapter on a real QEMU. Booting takes seconds and its image comes from Debian: mostly `make test-all`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tarfile
import time

import pytest

from runtime_adapters.microvm import QEMU, MicrovmAdapter
from runtime_adapters.microvm_guest import PARKED, READY, wait_for
from runtime_adapters.microvm_image import archive_of, image_in, sealed_in, uncompressed_kernel
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, NotAvailable, NotWhatWasDecided
from tests.contract.machine_folders import NEEDS_QEMU, machine_folder
from tests.contract.roots import ECHO, answering, archive, starting

CAPS = Caps(cpu=0.5, memory_mib=64, timeout_ms=20_000, storage_mib=4)


def boots(test):
    """Marks for a test that starts a virtual machine."""
    return pytest.mark.slow(NEEDS_QEMU(test))


@pytest.fixture(scope="module", params=[True, False], ids=["from a snapshot", "booted"])
def adapter(request, tmp_path_factory):
    return MicrovmAdapter(machine_folder(tmp_path_factory), uses_snapshots=request.param)


@pytest.fixture
def started(adapter, tmp_path):
    with starting(adapter, tmp_path, "microvm", CAPS) as start:
        yield start


@boots
def test_a_request_goes_in_and_the_answer_comes_out(started):
    instance = started(ECHO)
    assert [instance.call(body).output for body in (b"one", b"second call")] == [b"one", b"second call"]
    assert instance.observe().memory_peak_mib > 0


@boots
def test_the_machine_has_no_network_no_disk_and_nothing_of_the_host(started):
    outcome = started(answering("ls /sys/class/net /dev/vda /dev/sda; cat /etc/passwd; cat /proc/net/dev")).call(b"")
    said = outcome.output.decode()
    assert outcome.status == "done", outcome
    assert "eth0" not in said
    assert "root:" not in said
    assert "/dev/vda: No such file" in said


@boots
def test_a_call_out_reaches_the_broker_and_comes_back(started):
    script = """read -r line; echo '{"call": {"op": "kv.get", "key": "a"}}'; read -r answer
echo "{\\"answer\\": \\"$(echo "$answer" | base64 | tr -d '\\n')\\"}"; read -r line"""
    heard = []
    outcome = started(script, lambda raw, _left: heard.append(json.loads(raw)) or b'{"ok":"outside"}').call(b"")
    assert json.loads(outcome.output) == {"result": {"ok": "outside"}}
    assert heard == [{"op": "kv.get", "key": "a"}]


@boots
def test_an_app_that_does_not_answer_is_gone_with_its_machine(started):
    instance = started("while true; do :; done", caps=CAPS._replace(timeout_ms=1500))
    assert instance.call(b"").status == "timeout"
    assert instance.call(b"").status == "exit"


@boots
def test_a_machine_knows_the_time_and_has_a_name_of_its_own(started):
    ask = answering("busybox date +%s; cat /proc/sys/kernel/hostname")
    before = time.time()
    told = [started(ask).call(b"").output.split() for _ in range(2)]
    for seconds, _ in told:
        assert before - 1 <= int(seconds) <= time.time() + 1
    assert len({name for _, name in told}) == 2
    assert all(len(name) == 32 for _, name in told)


@boots
@pytest.mark.parametrize("filler", [40 << 20])
def test_an_app_larger_than_the_smallest_region_arrives_whole(adapter, tmp_path, filler):
    content = os.urandom(1 << 20) * (filler >> 20)
    raw = archive(answering("busybox sha256sum /filler"), [{"name": "filler", "content": content}])
    (tmp_path / "r.tar").write_bytes(raw)
    plan = RuntimePlan("lunch", "marketing", "id-1", "microvm", CAPS._replace(memory_mib=256), ())
    artifact = Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest())
    instance = adapter.prepare(plan, artifact).start(lambda _raw, _left: b"{}")
    try:
        assert instance.call(b"").output.split()[0].decode() == hashlib.sha256(content).hexdigest()
    finally:
        instance.stop()


@boots
def test_the_attestation_measures_kernel_base_and_app(adapter, tmp_path):
    raw = archive("true")
    (tmp_path / "r.tar").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    plan = RuntimePlan("lunch", "marketing", "id-1", "microvm", CAPS, ())
    attested = adapter.prepare(plan, Artifact(str(tmp_path / "r.tar"), digest)).attest()
    assert set(attested.digests) >= {"kernel", "initrd", "rootfs"}
    assert attested.digests["rootfs"] == f"sha256:{digest}"
    assert attested.boundary in {"vm-kvm", "vm-tcg"}
    with pytest.raises(NotWhatWasDecided):
        adapter.prepare(plan, Artifact(str(tmp_path / "r.tar"), "0" * 64))


def test_without_an_image_nothing_is_available(tmp_path):
    probe = MicrovmAdapter(tmp_path).probe()
    assert not probe.is_available
    assert "build-image" in probe.reason or QEMU in probe.reason


def test_an_image_that_was_changed_is_not_booted(tmp_path):
    (tmp_path / "vmlinux").write_bytes(b"kernel")
    (tmp_path / "base.cpio.gz").write_bytes(b"base")
    digests = {
        name: "sha256:" + hashlib.sha256(text).hexdigest()
        for name, text in (("kernel", b"kernel"), ("initrd", b"base"))
    }
    (tmp_path / "image.json").write_text(json.dumps(digests))
    assert image_in(tmp_path).digests() == digests
    (tmp_path / "vmlinux").write_bytes(b"kernem")
    with pytest.raises(NotAvailable, match="was changed"):
        image_in(tmp_path)


def test_what_was_measured_stays_what_boots(tmp_path):
    """The files change between the check and the boot: the machine gets what was measured, the next check refuses."""
    parts = {"vmlinux": b"kernel", "base.cpio.gz": b"base"}
    for name, raw in parts.items():
        (tmp_path / name).write_bytes(raw)
    digests = [hashlib.sha256(raw).hexdigest() for raw in parts.values()]
    (tmp_path / "image.json").write_text(
        json.dumps(dict(zip(("kernel", "initrd"), (f"sha256:{d}" for d in digests), strict=True)))
    )
    sealed = sealed_in(tmp_path, None)
    for name in parts:
        (tmp_path / name).write_bytes(b"changed")
    assert os.pread(sealed.kernel.fileno(), 99, 0) == b"kernel"
    assert sealed.base == b"base"
    assert list(sealed.digests.values()) == [f"sha256:{d}" for d in digests]
    with pytest.raises(NotAvailable, match="was changed"):
        sealed_in(tmp_path, sealed)
    for change in (lambda fd: os.pwrite(fd, b"evil", 0), lambda fd: os.ftruncate(fd, 1)):
        with pytest.raises(PermissionError):
            change(sealed.kernel.fileno())


def entries(cpio: bytes) -> dict[str, tuple[int, bytes]]:
    """Names of a `newc` archive with mode and content, read as the kernel documentation has it."""
    found, at = {}, 0
    while at < len(cpio):
        assert cpio[at : at + 6] == b"070701"
        fields = [int(cpio[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        start = at + 110
        name = os.fsdecode(cpio[start : start + fields[11] - 1])
        start += fields[11] + -(110 + fields[11]) % 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], cpio[start : start + fields[6]])
        at = start + fields[6] + -fields[6] % 4
    raise AssertionError("no trailer")


def test_an_archive_becomes_what_the_kernel_unpacks():
    found = entries(archive_of(io.BytesIO(archive("true", [{"name": "bin/su", "content": b"x", "mode": 0o4777}]))))
    assert found["app/run"] == (0o100755, b"#!/bin/sh\ntrue\n")
    assert found["bin/su"] == (0o100755, b"x")


@pytest.mark.parametrize("name", ["init", "./init", "/init", "././init", ".//init", "/./init", "init/."])
def test_an_app_cannot_bring_its_own_first_program(name):
    found = entries(archive_of(io.BytesIO(archive("true", [{"name": name, "content": b"planted"}]))))
    assert b"planted" not in [content for _, content in found.values()]
    assert not [place for place in found if place != place.strip("./") or "//" in place]


def test_no_member_reaches_the_first_program_through_a_link():
    link = {"name": "up", "sort": tarfile.SYMTYPE, "link": "/"}
    with pytest.raises(BadArtifact, match="below a link"):
        archive_of(io.BytesIO(archive("true", [link, {"name": "up/init", "content": b"planted"}])))


def test_a_name_that_ends_early_for_the_kernel_is_refused():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("x")
        member.pax_headers = {"path": "init\0x"}
        tar.addfile(member)
    with pytest.raises(BadArtifact):
        archive_of(io.BytesIO(raw.getvalue()))


def test_an_archive_that_unpacks_to_more_than_memory_holds_is_refused(monkeypatch):
    """A hundred hard links are a hundred copies for a kernel that is told of each."""
    monkeypatch.setattr("runtime_adapters.microvm_image.LARGEST_CONTENT", 8 << 20)
    members = [{"name": "big", "content": bytes(1 << 20)}]
    members += [{"name": f"link{n}", "sort": tarfile.LNKTYPE, "link": "big"} for n in range(100)]
    with pytest.raises(BadArtifact, match="more than 8388608 bytes"):
        archive_of(io.BytesIO(archive("true", members)))


@pytest.mark.parametrize("name", [b"\xff\xfe", "Grüße".encode()])
def test_a_name_of_any_bytes_is_kept(name):
    found = entries(archive_of(io.BytesIO(archive("true", [{"name": os.fsdecode(name), "content": b"x"}]))))
    assert b"x" in [content for _, content in found.values()]


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../x", "content": b"x"},
        {"name": "dev/mem", "sort": tarfile.CHRTYPE},
        {"name": "p", "sort": tarfile.FIFOTYPE},
    ],
)
def test_an_archive_that_reaches_outside_is_refused(member):
    with pytest.raises(BadArtifact, match=r"leaves the root|device or pipe"):
        archive_of(io.BytesIO(archive("true", [member])))


def test_a_kernel_is_taken_out_of_its_image():
    import lz4.block

    kernel = b"\x7fELF" + bytes(range(256)) * 5000
    packed = lz4.block.compress(kernel, store_size=False)
    payload = b"\x02\x21\x4c\x18" + struct.pack("<I", len(packed)) + packed + struct.pack("<I", len(kernel))
    image = bytearray(0x400)
    image[0x1F1] = 1
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    assert uncompressed_kernel(bytes(image) + payload) == kernel
    with pytest.raises(BadArtifact):
        uncompressed_kernel(bytes(image) + payload[:-40_0])
    for raw in (b"", bytes(image), b"\x7fELF" * 1000):
        with pytest.raises(BadArtifact):
            uncompressed_kernel(raw)


@pytest.mark.parametrize(
    ("said", "word", "over", "why"),
    [
        (b"noise of a kernel\r\nREADY\n", READY, "", ""),
        (b"x" * 60_000 + READY, READY, "", ""),
        (b"READY\nmore", READY, "", "before it was asked"),
        (b"FAILED\n", READY, "", "did not take"),
        (b"READY\n", PARKED, "", "older version"),
        (b"", READY, "QEMU ended: 1", "QEMU ended: 1"),
        (b"READ", READY, "", "no word"),
    ],
)
def test_a_machine_is_ready_at_its_word_and_at_nothing_else(said, word, over, why):
    ours, theirs = os.pipe()
    try:
        os.write(theirs, said)
        if why:
            with pytest.raises(NotAvailable, match=why):
                wait_for(word, ours, 0.2, lambda: over)
        else:
            assert wait_for(word, ours, 20, lambda: over) >= 0
    finally:
        os.close(ours)
        os.close(theirs)
