"""Bundles and the active policy: what is refused on the way in, and what a cache is trusted with."""

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from governance.errors import BadBundle, NoAnswer, RuleError
from governance.policy import bundle as bundles
from governance.policy.active import Extra, load_active
from governance.policy.archive import packed_files, write_archive
from governance.policy.bundle import archive_files, bundle_of, files_of, load_bundle
from governance.policy.query import ask
from governance.policy.signing import signatures_of

REGO = "package a\n\np := 1\n"


def tar(path, *members):
    """An archive of (name, content or TarInfo)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return str(path)


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


# -- archives ------------------------------------------------------------------------------------------------------


def test_an_archive_gives_its_files_by_name(tmp_path):
    path = tar(tmp_path / "b.tar.gz", ("/a.rego", REGO.encode()), ("./x/data.json", b'{"k": 1}'), (".manifest", b"{}"))
    loaded = load_bundle(path)
    assert [m.path for m in loaded.modules] == ["a.rego"]
    assert loaded.data == {"x": {"k": 1}}
    assert loaded.revision.startswith("sha256:")


@pytest.mark.parametrize("name", ["../a.rego", "x/../../a.rego", "/../a.rego", "x/..", ".."])
def test_a_member_that_climbs_out_is_refused(tmp_path, name):
    with pytest.raises(BadBundle, match="may not be in a bundle"):
        archive_files(tar(tmp_path / "b.tar.gz", (name, b"x")))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    path = tar(
        tmp_path / "b.tar.gz", ("a.rego", REGO.encode()), ("data.json", special("data.json", kind, "/etc/passwd"))
    )
    with pytest.raises(BadBundle, match="may not be in a bundle"):
        archive_files(path)


@pytest.mark.parametrize("second", ["a.rego", "./a.rego", "/a.rego"])
def test_a_name_that_is_there_twice_is_refused(tmp_path, second):
    path = tar(tmp_path / "b.tar.gz", ("a.rego", REGO.encode()), (second, b"package evil\n"))
    with pytest.raises(BadBundle, match="twice"):
        archive_files(path)


def test_a_huge_member_is_refused_before_it_is_read(tmp_path):
    member = tarfile.TarInfo("data.json")
    member.size = bundles.MOST_BYTES + 1
    path = tmp_path / "b.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf()))
    with pytest.raises(BadBundle, match="may not be in a bundle"):
        archive_files(str(path))


def test_many_members_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_BYTES", 1_000)
    path = tar(tmp_path / "b.tar.gz", *((f"x{n}/data.json", b" " * 300) for n in range(4)))
    with pytest.raises(BadBundle):
        archive_files(path)


def test_headers_that_unfold_without_end_are_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    """A few kilobytes of gzip that announce one extended header of many megabytes."""
    monkeypatch.setattr(bundles, "MOST_BYTES", 100_000)
    monkeypatch.setattr(bundles, "MOST_FILES", 10)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 50_000_000
    path = tmp_path / "b.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf() + bytes(50_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(BadBundle, match="more than a bundle may hold"):
        archive_files(str(path))


@pytest.mark.parametrize(
    "content", [b"", b"not an archive", gzip.compress(b"neither", mtime=0), b"\x1f\x8b\x08\x00broken"]
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "b.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BadBundle, match="not a bundle"):
        archive_files(str(path))


def test_a_truncated_archive_is_refused(tmp_path):
    path = Path(tar(tmp_path / "b.tar.gz", ("a.rego", REGO.encode() * 500), ("b.rego", os.urandom(5_000))))
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(BadBundle):
        archive_files(str(path))


def test_the_same_files_give_the_same_archive_and_come_back(tmp_path):
    loaded = bundle_of({"a.rego": REGO.encode(), "data.json": b'{"k": 1}'}, "b")
    for name in ("one", "two"):
        write_archive(str(tmp_path / f"{name}.tar.gz"), packed_files(loaded, "r1", [""]))
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    again = load_bundle(str(tmp_path / "one.tar.gz"))
    assert (again.revision, again.modules, again.data) == ("r1", loaded.modules, {"k": 1})


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"data.json": b"[1]"},
        {"data.json": b"{"},
        {"data.json": b'{"k": {"a": 1, "a": 2}}'},
        {"modes/data.json": b'{"k": 1, "k": 1}'},
        {"data.json": b'{"k": NaN}'},
        {"data.json": b'{"k": -Infinity}'},
        {"data.json": b'{"k": 1e400}'},
        {"data.json": b"[" * 100_000},
        {"data.yaml": b"a: " + b"[" * 100_000},
        {"data.json": b'{"k": "\xff"}'},
        {"data.yaml": b"a: [1"},
        {"x/data.json": b'{"k": 1}', "data.json": b'{"x": {"k": 2}}'},
        {"x/data.json": b"1", "x/data.yaml": b"k: 1"},
        {"a.rego": b"package a\n\xff"},
        {".manifest": b"[]", "a.rego": REGO.encode()},
        {".manifest": b"{", "a.rego": REGO.encode()},
        {".manifest": b'{"roots": ["b"], "roots": [""]}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": "a"}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": [1]}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": ["b"]}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": []}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": ["a/b"]}', "a.rego": REGO.encode()},
        {".manifest": b'{"roots": ["a"]}', "a.rego": REGO.encode(), "data.json": b'{"b": 1}'},
    ],
)
def test_a_file_that_cannot_serve_is_refused(files):
    with pytest.raises(RuleError):
        bundle_of(files, "b")


@pytest.mark.parametrize(
    "package",
    [
        "package b",
        " package b\nx := `\npackage a\n`",
        "package b;p2 := 1",
        "package\n\tb",
        'package b["c"]',
        "package b # package a",
        "# package a\npackage b",
    ],
)
def test_a_package_outside_the_roots_is_refused_however_it_is_spelt(package):
    with pytest.raises(BadBundle, match="outside the roots"):
        bundle_of({".manifest": b'{"roots": ["a"]}', "a.rego": f"{package}\n\np := 1\n".encode()}, "b")


# -- together ------------------------------------------------------------------------------------------------------


def serves(active, request):
    return json.loads(active.engine.rule("data.platform.main.deploy", json.dumps(request)).text)


RED = {"app": {"name": "a", "owner": "o", "colour": "red"}}
GREEN = {"app": {"name": "a", "colour": "green"}}


def test_an_added_bundle_serves_beside_ours_and_changes_nothing(folder, active):
    extra = folder(
        {
            "mine/p.rego": "package mine\n\np := data.mine.k\n",
            "data.json": '{"mine": {"k": 7}, "platform": {"other": 1}}',
        },
        base={},
    )
    plain, both = active(), active(extras=[Extra(extra)])
    assert ask(both, "mine/p", {}).text == "7"
    for request in (RED, GREEN, {}):
        assert serves(plain, request) == serves(both, request)
    assert plain.revision != both.revision


@pytest.mark.parametrize(
    "files",
    [
        {"x.rego": "package platform.rules.app.owner\n\ndeny contains 1 if false\n"},
        {"x.rego": "package platform.rules.app\n\np := 1\n"},
        {"x.rego": "package platform.rules.app.owner.deeper\n\np := 1\n"},
        {"x.rego": 'package platform["rules"].app.owner\n\np := 1\n'},
        {"x.rego": "package platform.rules.app.owner;p := 1\n"},
        {"x.rego": " package platform.rules.app.owner\np := `\npackage mine\n`\n"},
        {"x.rego": "package platform\n\nrules.app.owner.deny := set()\n"},
        {"x.rego": "package platform.main\n\n_deploy_violations := set()\n"},
        {"x.rego": 'package platform.main\n\n_deploy_obligations contains {"name": "x", "type": "mask", "value": 1}\n'},
        {"x.rego": "package platform.main.deploy\n\np := 1\n"},
        {"data.json": '{"platform": {"colours": {"allowed": ["green"]}}}'},
        {"data.json": '{"platform": {"colours": {"more": 1}}}'},
        {"data.json": '{"platform": {"main": {"deploy": {}}}}'},
        {"data.json": '{"platform": {}}'},
        {"data.json": '{"platform": null}'},
        {"data.json": '{"platform": {"rules": {"app": {"owner": {"deny": []}}}}}'},
        {".manifest": '{"roots": ["/platform/colours/"]}'},
        {".manifest": '{"roots": ["platform"]}'},
    ],
)
def test_an_added_bundle_owns_nothing_that_is_ours(files, folder, active):
    extra = folder(files, base={"mine.rego": "package platform.extra\n\np := 1\n"} if ".manifest" in files else {})
    with pytest.raises(BadBundle, match=r"both own|outside the roots"):
        active(extras=[Extra(extra)])


def test_two_added_bundles_do_not_own_the_same(folder, active):
    one, two = (folder({"mine/p.rego": "package mine\n\np := 1\n"}, base={}) for _ in range(2))
    with pytest.raises(BadBundle, match="both own 'mine'"):
        active(extras=[Extra(one), Extra(two)])


def test_added_data_do_not_hide_what_is_beside_them(folder, active):
    extra = folder({"data.json": '{"platform": {"zebra": {"k": 1}}}'}, base={})
    loaded = active(extras=[Extra(extra)])
    assert ask(loaded, "platform/zebra/k", {}).text == "1"
    assert json.loads(ask(loaded, "platform/colours/allowed", {}).text) == ["red", "blue"]
    assert len(serves(loaded, GREEN)["violations"]) == 2


def test_an_id_that_is_used_twice_is_refused(active, meta):
    twin = meta("APP-001") + "package platform.rules.app.twin\n\ndeny contains 1 if false\n"
    with pytest.raises(BadBundle, match="APP-001 is also used"):
        active({"app/twin.rego": twin})


@pytest.mark.parametrize("path", ["", "/nowhere/at/all"])
def test_a_bundle_that_is_not_there_is_refused(path, tmp_path):
    with pytest.raises(BadBundle):
        load_active(path or str(tmp_path / "missing"), cache="")


# -- the cache -----------------------------------------------------------------------------------------------------


@pytest.fixture
def cached(folder, tmp_path):
    source, cache = folder(), tmp_path / "cache"

    def load():
        return load_active(source, cache=str(cache))

    load()
    (file,) = cache.iterdir()
    return load, file


def spoilt(load, file):
    """Whether the cache file is written anew on loading, since what it held was not taken."""
    before = file.read_bytes()
    loaded = load()
    assert len(serves(loaded, GREEN)["violations"]) == 2
    assert loaded.modes == {}
    return file.read_bytes() != before


def test_a_sound_cache_is_read(cached):
    load, file = cached
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not spoilt(load, file)


@pytest.mark.parametrize("at", [0, 70, 90, 200, 700, -1, -200])
def test_a_cache_with_one_flipped_bit_is_not_trusted(cached, at):
    load, file = cached
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(raw)
    assert spoilt(load, file)


def test_a_cache_whose_modes_were_edited_is_not_trusted(cached):
    load, file = cached
    raw = file.read_bytes()
    edited = raw.replace(b'"modes": {}', b'"modes": {"rules": {"APP-001": {"mode": "shadow"}}}', 1)
    assert edited != raw
    file.write_bytes(edited)
    assert spoilt(load, file)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n{}", b"0" * 64 + b"\n"])
def test_a_cache_that_is_something_else_is_not_trusted(cached, content):
    load, file = cached
    file.write_bytes(content)
    assert spoilt(load, file)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_cache_file_that_others_may_write_is_not_read(cached, mode):
    load, file = cached
    raw = file.read_bytes()
    file.chmod(mode)
    assert len(serves(load(), GREEN)["violations"]) == 2
    assert file.read_bytes() == raw
    assert file.stat().st_mode & 0o777 == 0o600, "written anew by its owner"


def test_a_cache_folder_that_others_may_write_is_neither_read_nor_written(cached):
    load, file = cached
    file.unlink()
    file.parent.chmod(0o777)
    assert len(serves(load(), GREEN)["violations"]) == 2
    assert not list(file.parent.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
def test_a_cache_that_somebody_else_owns_is_not_read(cached):
    load, file = cached
    file.write_bytes(b"theirs")
    os.chown(file, 12345, 12345)
    assert len(serves(load(), GREEN)["violations"]) == 2
    assert file.stat().st_uid == 0


def test_a_changed_rule_is_not_served_from_the_cache(folder, tmp_path):
    source, cache = folder(), str(tmp_path / "cache")
    assert len(serves(load_active(source, cache=cache), GREEN)["violations"]) == 2
    (Path(source) / "data/platform/colours.yaml").write_text("allowed: [green]\n")
    assert len(serves(load_active(source, cache=cache), GREEN)["violations"]) == 1


def test_what_was_used_longest_ago_goes_when_something_is_added(cached, folder):
    load, file = cached
    for number in range(40):
        older = file.parent / f"{number:064x}"
        older.write_bytes(b"compiled")
        os.utime(older, (number, number))
    os.utime(file, (1, 1))
    load()
    assert len(list(file.parent.iterdir())) == 41, "nothing was added"
    changed = Path(folder())
    (changed / "data/platform/colours.yaml").write_text("allowed: [green]\n")
    load_active(str(changed), cache=str(file.parent))
    kept = {found.name for found in file.parent.iterdir()}
    assert len(kept) == 32
    assert file.name in kept
    assert f"{9:064x}" not in kept


def test_a_copy_elsewhere_is_the_same_bundle(folder, tmp_path):
    cache = tmp_path / "cache"
    first = load_active(folder(), cache=str(cache))
    (file,) = cache.iterdir()
    inode = file.stat().st_ino
    assert load_active(folder(), cache=str(cache)).revision == first.revision
    assert [found.stat().st_ino for found in cache.iterdir()] == [inode], "read, not compiled and written anew"


@pytest.mark.parametrize(
    "change", [{"app/owner2.rego": None}, {"a/b.rego": REGO}, {"data/platform/colours.yaml": "x: 1"}]
)
def test_a_file_of_another_name_or_content_is_another_bundle(folder, tmp_path, change):
    cache = tmp_path / "cache"
    owner = folder() + "/app/owner.rego"
    load_active(str(Path(owner).parents[1]), cache=str(cache))
    other = Path(folder({**change, "app/owner.rego": None}))
    (other / "app" / "owner2.rego").write_text(Path(owner).read_text())
    load_active(str(other), cache=str(cache))
    assert len(list(cache.iterdir())) == 2


def test_a_signature_that_held_in_one_place_says_nothing_about_a_copy_without_it(folder, tmp_path):
    source, cache, secret = folder(), tmp_path / "cache", b"0123456789abcdef0123456789abcdef"
    (Path(source) / ".signatures.json").write_bytes(signatures_of(files_of(source), secret))
    load_active(source, cache=str(cache), bundle_key=secret)
    copied = Path(shutil.copytree(source, tmp_path / "copy"))
    (copied / "tests" / "app" / "owner_test.rego").write_text("package other\n")
    with pytest.raises(BadBundle):
        load_active(str(copied), cache=str(cache), bundle_key=secret)


# -- questions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("platform/colours/allowed", ["red", "blue"]),
        ("/platform//colours/allowed/", ["red", "blue"]),
        ("platform/rules/app/owner/deny", "one"),
        ("nowhere", None),
        ("platform/rules/app/owner/nothing", None),
        ('platform/x"];p:=1;[data["q', None),
        ("platform/rules/app/owner/deny; true", None),
    ],
)
def test_any_path_can_be_asked_and_none_is_a_query(path, wanted, active):
    found = ask(active(), path, {"app": {}})
    if wanted == "one":
        assert len(json.loads(found.text)) == 1
    else:
        assert (None if found.text is None else json.loads(found.text)) == wanted


def test_an_error_is_told_from_undefined(active):
    extra = {"x/p.rego": "package x\n\np := upper(input.a)\n"}
    found = ask(active(extra), "x/p", {"a": 1})
    assert isinstance(found, NoAnswer)
    assert "x/p.rego:3" in str(found)
