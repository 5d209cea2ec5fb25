"""OCI image layouts: layers become what an image's maker saw, and nothing that reaches outside, lies or explodes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_adapters import gvisor
from runtime_adapters.container import ContainerAdapter
from runtime_adapters.image_layers import merged
from runtime_adapters.image_layout import is_layout, unpacked_image
from runtime_adapters.microvm_image import archive_of
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, NotWhatWasDecided
from runtime_adapters.rootfs import unpacked
from tests.contract.layouts import LINUX, OCI, Layout, tar
from tests.contract.machine_folders import machine_folder
from tests.contract.roots import BUSYBOX, ECHO, archive
from tests.contract.test_microvm_runtime import boots

LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
FILE = ("app/run", b"#!/bin/sh\n")


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "image")


def tree(root) -> dict[str, bytes | str]:
    """Every file and link below a folder."""
    found: dict[str, bytes | str] = {}
    for folder, _, names in os.walk(root):
        for name in names + [one for one in os.listdir(folder) if os.path.islink(os.path.join(folder, one))]:
            path = os.path.join(folder, name)
            place = os.path.relpath(path, root)
            if os.path.islink(path):
                found[place] = os.readlink(path)
            else:
                with open(path, "rb") as file:
                    found[place] = file.read()
    return found


def unpack(layout, *layers, tmp_path, **more):
    return tree(unpacked_image(layout.artifact(layout.image(*layers, **more)), tmp_path / "roots"))


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_upper_layers_replace_hide_and_add(layout, tmp_path, packing):
    lower = tar(
        ("a", b"1"), ("b/c", b"2"), ("b/d/e", b"3"), ("b/d/f", b"4"), {"name": "l", "type": LINK, "linkname": "a"}
    )
    upper = tar(("a", b"new"), (".wh.l", b""), ("b/.wh.c", b""), ("b/d/.wh..wh..opq", b""), ("b/d/g", b"5"))
    found = unpack(layout, lower, upper, tmp_path=tmp_path, packing=packing)
    assert found == {"a": b"new", "b/d/g": b"5"}


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_hides_nothing_of_its_own_layer_wherever_it_stands(layout, tmp_path, first):
    members = [("d/.wh..wh..opq", b""), ("d/.wh.x", b""), ("d/x", b"own")]
    upper = tar(*(members if first else members[::-1]))
    assert unpack(layout, tar(("d/x", b"old"), ("d/y", b"old")), upper, tmp_path=tmp_path) == {"d/x": b"own"}


def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(layout, tmp_path):
    lower = tar(("a", b"file"), ("b/c", b"below"), {"name": "l", "type": LINK, "linkname": "/etc"})
    upper = tar({"name": "a", "type": FOLDER}, ("a/x", b"1"), ("b", b"file"),
                {"name": "l", "type": FOLDER}, ("l/x", b"2"))  # fmt: skip
    assert unpack(layout, lower, upper, tmp_path=tmp_path) == {"a/x": b"1", "b": b"file", "l/x": b"2"}


def test_a_hard_link_keeps_what_it_was_when_its_name_is_taken(layout, tmp_path):
    lower = tar(("a", b"old"))
    upper = tar({"name": "b", "type": HARD, "linkname": "a"}, ("a", b"new"))
    assert unpack(layout, lower, upper, tmp_path=tmp_path) == {"a": b"new", "b": b"old"}


def test_nothing_of_a_member_but_its_place_sort_content_and_mode_arrives(layout, tmp_path):
    layer = tar({"name": "su", "content": b"x", "mode": 0o6777, "uid": 7, "gid": 7, "uname": "mallory"})
    root = unpacked_image(layout.artifact(layout.image(layer)), tmp_path / "roots")
    assert (root / "su").stat().st_mode & 0o7777 == 0o755
    assert (root / "su").stat().st_uid == os.geteuid()


def test_an_image_behind_indexes_is_found_by_platform(layout, tmp_path):
    ours = layout.image(tar(FILE))
    other = {**layout.document({}, "manifest.v1+json"), "platform": {"os": "linux", "architecture": "arm64"}}
    artifact = layout.artifact(layout.index(layout.index(other, ours), other))
    assert tree(unpacked_image(artifact, tmp_path / "roots")) == {"app/run": FILE[1]}


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ({"name": "../x", "content": b"x"}, "leaves the root"),
        ({"name": "a/../../x", "content": b"x"}, "leaves the root"),
        ({"name": "dev/mem", "type": tarfile.CHRTYPE}, "device or pipe"),
        ({"name": "dev/sda", "type": tarfile.BLKTYPE}, "device or pipe"),
        ({"name": "p", "type": tarfile.FIFOTYPE}, "device or pipe"),
        ({"name": "h", "type": HARD, "linkname": "../../etc/passwd"}, "leaves the root"),
        ({"name": "h", "type": HARD, "linkname": "/etc/passwd"}, "no file of the image"),
        ({"name": "h", "type": HARD, "linkname": "out/passwd"}, "no file of the image"),
        ({"name": "h", "type": HARD, "linkname": "out"}, "no file of the image"),
        ({"name": "h", "type": HARD, "linkname": "h"}, "no file of the image"),
        ({"name": "out/planted", "content": b"x"}, "no folder"),
        ({"name": "out/a/b/planted", "content": b"x"}, "no folder"),
        ({"name": "file/planted", "content": b"x"}, "no folder"),
        ({"name": "a/.wh.b/c", "content": b"x"}, "below a whiteout"),
        ({"name": "a/.wh.."}, "takes nothing away"),
        ({"name": "a/.wh..."}, "takes nothing away"),
        ({"name": "a/.wh."}, "takes nothing away"),
        ({"name": "/".join("a" * 200)}, "deeper or longer"),
        ({"name": "l", "type": LINK, "linkname": "a" * 5000}, "longer than names"),
    ],
    ids=lambda value: value["name"][:20] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("is_apart", [True, False])
def test_a_member_that_reaches_outside_is_refused_by_name(layout, tmp_path, member, reason, is_apart):
    """Whether the link that it goes through came with it or lay in the layer below."""
    before = [{"name": "out", "type": LINK, "linkname": str(tmp_path)}, ("file", b"")]
    layers = [tar(*before), tar(member)] if is_apart else [tar(*before, member)]
    with pytest.raises(BadArtifact, match=reason):
        unpack(layout, *layers, tmp_path=tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["image", "roots"]
    assert os.listdir(tmp_path / "roots") == []


def test_a_whiteout_behind_a_link_takes_nothing_from_the_host(layout, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("of the host")
    lower = tar({"name": "out", "type": LINK, "linkname": str(tmp_path / "kept")}, FILE)
    upper = tar(("out/.wh.file", b""), ("out/.wh..wh..opq", b""))
    assert set(unpack(layout, lower, upper, tmp_path=tmp_path)) == {"out", "app/run"}
    assert (tmp_path / "kept" / "file").read_text() == "of the host"


@pytest.mark.parametrize("absolute", ["/app/run", "//app/run", "./app/./run", "/./app//run"])
def test_every_spelling_of_a_place_is_one_place_in_the_root(layout, tmp_path, absolute):
    assert unpack(layout, tar(("app/run", b"1")), tar((absolute, b"2")), tmp_path=tmp_path) == {"app/run": b"2"}


def blobs_of(layout):
    return sorted((layout.folder / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("change", ["flipped", "cut", "longer", "gone", "a pipe", "a link to another"])
def test_a_blob_that_is_not_what_its_name_says_is_refused(layout, tmp_path, number, change):
    """Manifest, config and layer alike, before the first unpacking and after it."""
    artifact = layout.artifact(layout.image(tar(FILE)))
    unpacked_image(artifact, tmp_path / "roots")
    path, other = blobs_of(layout)[number], blobs_of(layout)[number - 1]
    raw = path.read_bytes()
    path.unlink()
    if change == "a pipe":
        os.mkfifo(path)
    elif change == "a link to another":
        path.symlink_to(other)
    elif change != "gone":
        path.write_bytes({"flipped": bytes([raw[0] ^ 1]) + raw[1:], "cut": raw[:-1], "longer": raw + b"\0"}[change])
    for folder in ("roots", "fresh"):
        with pytest.raises((NotWhatWasDecided, BadArtifact)):
            unpacked_image(artifact, tmp_path / folder)
    assert os.listdir(tmp_path / "fresh") == []


def test_a_layer_that_unpacks_to_something_else_than_its_config_says_is_refused(layout, tmp_path):
    said = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}}
    with pytest.raises(NotWhatWasDecided, match="was named"):
        unpack(layout, tar(FILE), tmp_path=tmp_path, config=said)


@pytest.mark.parametrize(
    "said",
    [
        {"config": {"os": "windows"}},
        {"config": {"architecture": "arm64"}},
        {"config": {"rootfs": {"diff_ids": []}}},
        {"config": {"rootfs": None}},
        {"manifest": {"layers": []}},
        {"manifest": {"layers": {}}},
        {"manifest": {"layers": [None]}},
        {"manifest": {"config": None}},
        {"manifest": {"config": {"digest": "sha256:../../../etc/passwd", "size": 1}}},
        {"manifest": {"config": {"digest": f"sha512:{'0' * 128}", "size": 1}}},
        {"manifest": {"config": {"digest": f"sha256:{'0' * 64}", "size": -1}}},
        {"manifest": {"config": {"digest": f"sha256:{'0' * 64}", "size": True}}},
        {"manifest": {"mediaType": "application/vnd.something.else"}},
        {"manifest": {"mediaType": f"{OCI}index.v1+json"}},
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_refused(layout, tmp_path, said):
    with pytest.raises(BadArtifact):
        unpack(layout, tar(FILE), tmp_path=tmp_path, **said)


@pytest.mark.parametrize(
    "media", [f"{OCI}layer.nondistributable.v1.tar+gzip", f"{OCI}layer.v1.tar+encrypted", "", None]
)
def test_a_layer_of_another_type_is_refused(layout, tmp_path, media):
    layer = {**layout.blob(gzip.compress(tar(FILE))), "mediaType": media}
    with pytest.raises(BadArtifact, match="is not read"):
        unpack(layout, tar(FILE), tmp_path=tmp_path, manifest={"layers": [layer]})


def test_indexes_without_end_and_without_an_image_of_ours_are_refused(layout, tmp_path):
    found = layout.image(tar(FILE))
    deep = found
    for _ in range(5):
        deep = layout.index(deep)
    # An index that names itself: its digest cannot be right, so it is refused as what it is not.
    loop = hashlib.sha256(b"loop").hexdigest()
    naming = {"mediaType": f"{OCI}index.v1+json", "digest": f"sha256:{loop}", "size": 200, "platform": LINUX}
    (layout.folder / "blobs" / "sha256" / loop).write_text(json.dumps({"manifests": [naming]}))
    for descriptor in (
        deep,
        layout.index(),
        layout.index(found, found),
        layout.index({**found, "platform": {"os": "plan9"}}),
    ):
        with pytest.raises(BadArtifact):
            unpacked_image(layout.artifact(descriptor), tmp_path / "roots")
    with pytest.raises(NotWhatWasDecided):
        unpacked_image(Artifact(str(layout.folder), loop), tmp_path / "roots")


@pytest.mark.parametrize("digest", ["", "../../../etc", "latest", "0" * 63, "A" * 64])
def test_an_image_that_is_not_named_by_its_digest_is_refused(layout, tmp_path, digest):
    layout.image(tar(FILE))
    with pytest.raises(BadArtifact, match="no sha256 digest"):
        unpacked_image(Artifact(str(layout.folder), digest), tmp_path / "roots")


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_layer_that_explodes_is_stopped_on_the_way(layout, tmp_path, monkeypatch, packing):
    monkeypatch.setattr("runtime_adapters.image_layout.LARGEST_CONTENT", 4 << 20)
    with pytest.raises(BadArtifact, match="more bytes than an image may have"):
        unpack(layout, tar(("zeros", bytes(64 << 20))), tmp_path=tmp_path, packing=packing)


def test_layers_that_explode_only_together_are_stopped(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime_adapters.image_layout.LARGEST_CONTENT", 4 << 20)
    with pytest.raises(BadArtifact, match="more bytes than an image may have"):
        unpack(layout, *[tar((f"zeros{n}", bytes(1 << 20))) for n in range(8)], tmp_path=tmp_path)


def test_more_files_than_an_image_may_have_are_refused(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime_adapters.image_layers.MOST_MEMBERS", 30)
    layers = [tar(*[(f"{layer}-{n}", b"") for n in range(20)]) for layer in range(2)]
    with pytest.raises(BadArtifact, match="more than 30 files"):
        unpack(layout, *layers, tmp_path=tmp_path)


def sparse(real: int, maps: int = 0) -> bytes:
    """An old GNU sparse member that says it is `real` bytes long, with `maps` more blocks of its map (GNU tar manual)."""
    info = tarfile.TarInfo("huge")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[482:483] = b"\1" if maps else b"\0"
    header[483:495] = b"\x80" + real.to_bytes(11, "big")
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    block = (b"00000000000\0" + b"00000000000\0") * 21
    more = [block + (b"\1" if n < maps - 1 else b"\0") + bytes(7) for n in range(maps)]
    return bytes(header) + b"".join(more) + bytes(1024)


def told_at_length(sort: bytes, size: int) -> bytes:
    """A header that says `size` bytes of text follow it, and they do."""
    info = tarfile.TarInfo("x")
    info.type, info.size = sort, size
    return info.tobuf() + bytes(size) + tar(FILE)


@pytest.mark.parametrize(
    "layer",
    [
        sparse(1 << 50),
        sparse(10, maps=40_000),
        *[told_at_length(sort, 20 << 20) for sort in (b"x", b"g", b"L", b"K")],
    ],
    ids=["a petabyte of holes", "a map of a million holes", "about a member", "about all", "a name", "a link's name"],
)
@pytest.mark.parametrize("sort", ["image", "archive", "packed archive", "machine"])
def test_headers_without_end_cost_no_memory(layout, tmp_path, layer, sort):
    """`tarfile` would read each of them whole: 20 MiB here, and as much as an archive may unpack to elsewhere."""
    raw = gzip.compress(layer) if sort == "packed archive" else layer
    (tmp_path / "r.tar").write_bytes(raw)
    artifact = Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest())
    image = layout.artifact(layout.image(layer))
    tries = {"image": lambda: unpacked_image(image, tmp_path / "roots"), "machine": lambda: archive_of(io.BytesIO(raw))}
    tracemalloc.start()
    try:
        with pytest.raises(BadArtifact):
            tries.get(sort, lambda: unpacked(artifact, tmp_path / "roots"))()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_what_follows_a_hard_link_is_not_lost(tmp_path):
    """Looking for a link's target reads an archive to its end, and whoever went on from there would see none of the rest."""
    raw = tar(("a", b"1"), {"name": "b", "type": HARD, "linkname": "a"}, ("c", b"2"), ("app/run", b"3"))
    (tmp_path / "r.tar").write_bytes(raw)
    root = unpacked(Artifact(str(tmp_path / "r.tar"), hashlib.sha256(raw).hexdigest()), tmp_path / "roots")
    assert tree(root) == {"a": b"1", "b": b"1", "c": b"2", "app/run": b"3"}
    assert b"app/run" in archive_of(io.BytesIO(raw))


@pytest.mark.parametrize("raw", [b"", b"no tar", tar(FILE)[:700]])
def test_a_layer_that_is_no_archive_is_refused(layout, tmp_path, raw):
    with pytest.raises(BadArtifact, match=r"not a tar archive|not whole"):
        unpack(layout, raw, tmp_path=tmp_path)


@pytest.mark.parametrize("kept", [b"\x1f\x8b", b"not gzip at all", gzip.compress(tar(FILE), mtime=0)[:-9], b""])
def test_a_layer_that_is_not_packed_as_it_says_is_refused(layout, tmp_path, kept):
    layer = layout.blob(kept, f"{OCI}layer.v1.tar+gzip")
    with pytest.raises((BadArtifact, NotWhatWasDecided)):
        unpack(layout, tar(FILE), tmp_path=tmp_path, manifest={"layers": [layer]})


NAMES = st.sampled_from(
    ["a", "b", "a/b", "a/c", "b/a", "a/b/c", ".wh.a", ".wh.b", "a/.wh.b", "a/.wh..wh..opq", "../a", "/b"]
)
SORTS = st.sampled_from([tarfile.REGTYPE, FOLDER, LINK, HARD])
MEMBERS = st.fixed_dictionaries({"name": NAMES, "type": SORTS, "linkname": st.sampled_from(["a", "/", "../x", "b"])})


@given(layers=st.lists(st.lists(MEMBERS, max_size=6), min_size=1, max_size=3))
def test_whatever_the_layers_the_result_lies_below_its_root_or_is_refused(tmp_path_factory, layers):
    scratch = tmp_path_factory.mktemp("scratch")
    try:
        with (
            merged([io.BytesIO(tar(*layer)) for layer in layers], scratch) as out,
            tarfile.open(fileobj=out) as archive_,
        ):
            members = archive_.getmembers()
    except BadArtifact:
        return
    links, files = set(), set()
    for member in members:
        parts = member.name.split("/")
        assert not member.name.startswith("/")
        assert not {"..", "", "."} & set(parts)
        assert not [part for part in parts if part.startswith(".wh.")]
        assert not links & {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if member.islnk():
            assert member.linkname in files
        if member.issym():
            links.add(member.name)
        elif member.isreg():
            files.add(member.name)


def app_of(raw: bytes) -> list[bytes]:
    """The app's archive as two layers: a programs' one, and a greeting that hides an older one."""
    return [
        tar(("greeting", b"old\n"), ("secret", b"of a lower layer")),
        raw,
        tar(("greeting", b"new\n"), (".wh.secret", b"")),
    ]


@pytest.mark.skipif(
    shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
    reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
)
def test_a_container_runs_from_an_image(layout, tmp_path):
    answers(ContainerAdapter(tmp_path / "gvisor"), layout, "container")


@boots
def test_a_virtual_machine_runs_from_an_image(layout, tmp_path_factory):
    from runtime_adapters.microvm import MicrovmAdapter

    answers(MicrovmAdapter(machine_folder(tmp_path_factory)), layout, "microvm")


def answers(adapter, layout, runtime):
    plan = RuntimePlan("lunch", "marketing", "id-1", runtime, Caps(0.5, 64, 20_000, 4), ())
    artifact = layout.artifact(layout.image(*app_of(archive(f"test ! -e /secret && test -s /greeting && {ECHO}"))))
    assert is_layout(artifact.path)
    prepared = adapter.prepare(plan, artifact)
    assert prepared.attest().digests["rootfs"] == f"sha256:{artifact.sha256}"
    instance = prepared.start(lambda _raw, _left: b"{}")
    try:
        assert instance.call(b"hello").output == b"hello"
    finally:
        instance.stop()
