"""What is served is a copy of the last pair that was one."""

from __future__ import annotations

import shutil

from governance.platform.certificates import is_pair, self_signed, taken


def test_a_pair_is_copied_for_this_account_alone(tmp_path):
    files = self_signed(tmp_path / "a", ["localhost"])
    copies = taken(tmp_path / "served", *map(str, files))
    assert copies is not None
    assert is_pair(*map(str, copies))
    for path in (*copies, tmp_path / "served"):
        assert path.stat().st_mode & 0o077 == 0
    assert taken(tmp_path / "served", *map(str, files)) == copies


def test_halves_of_two_pairs_are_none_and_leave_the_copies_alone(tmp_path):
    first = self_signed(tmp_path / "a", ["localhost"])
    second = self_signed(tmp_path / "b", ["localhost"])
    copies = taken(tmp_path / "served", *map(str, first))
    assert taken(tmp_path / "served", str(second[0]), str(first[1])) is None
    assert taken(tmp_path / "served", str(tmp_path / "absent"), str(first[1])) is None
    assert sorted((tmp_path / "served").iterdir()) == sorted(copies)


def test_the_copies_before_the_last_go(tmp_path):
    for name in ("a", "b", "c", "d"):
        files = self_signed(tmp_path / name, ["localhost"])
        newest = taken(tmp_path / "served", *map(str, files))
    present = set((tmp_path / "served").iterdir())
    assert set(newest) <= present
    assert len(present) == 4
    shutil.rmtree(tmp_path / "served")
