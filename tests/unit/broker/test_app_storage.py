"""What apps keep: each its own, no more on the disk than its cap, at a price that does not grow with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.platform.broker import app_storage
from governance.platform.broker.app_storage import LONGEST_VALUE, Store
from governance.platform.broker.tokens import Caller

LUNCH = Caller("where2eat", "marketing", "where2eat-1")
MIB = 1 << 20


def taken(folder) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(folder / "app-storage.db")) as database:
        return database.execute("SELECT bytes, keys FROM taken").fetchall()


def test_what_an_app_keeps_is_its_own_and_bounded(tmp_path):
    store = Store(tmp_path, LUNCH, 1000)
    other = Store(tmp_path, LUNCH._replace(tenant="hr"), 1000)
    assert store.put("a", {"n": 1})
    assert (store.get("a"), other.get("a"), store.get("b")) == ({"n": 1}, None, None)
    assert not store.put("b", "x" * 1000)
    assert store.put("a", "y" * 500)
    assert not store.put("b", "x" * 200)
    assert other.put("b", "x" * 200)
    assert not Store(tmp_path, LUNCH, 100 * MIB).put("b", "x" * LONGEST_VALUE)


@pytest.mark.parametrize(
    ("length", "cap"), [(0, MIB // 40), (300, MIB // 16), (2100, MIB // 4), (4100, MIB // 4), (65_000, MIB)]
)
def test_no_more_is_on_the_disk_than_the_cap(tmp_path, length, cap):
    """Of rows of any size: the first put that is refused comes before the file is larger."""
    store = Store(tmp_path, LUNCH, cap)
    empty = 5 * 4096
    number = 0
    while store.put(f"{number * 7919 % 100_000:x}", "x" * length):
        number += 1
    assert number > 2
    assert (tmp_path / "app-storage.db").stat().st_size <= cap + empty


@given(st.lists(st.tuples(st.sampled_from("abé"), st.text(max_size=2000)), max_size=6))
@settings(max_examples=8, deadline=None)
def test_the_sum_is_that_of_the_rows(tmp_path_factory, puts):
    folder = tmp_path_factory.mktemp("kept")
    store = Store(folder, LUNCH, 10_000)
    for key, value in puts:
        store.put(key, value)
    kept = taken(folder) if puts else []
    with closing(sqlite3.connect(folder / "app-storage.db")) as database:
        database.execute("DROP TABLE IF EXISTS taken")
    assert Store(folder, LUNCH, 20_000).put("a", store.get("a"))
    fresh = Store(tmp_path_factory.mktemp("fresh"), LUNCH, 20_000)
    assert fresh.put("a", None)
    if store.get("a") is not None:
        assert taken(folder) == kept


def test_an_app_has_so_many_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(app_storage, "MOST_KEYS", 3)
    store = Store(tmp_path, LUNCH, MIB)
    assert [store.put(key, 1) for key in "abcd"] == [True, True, True, False]
    assert store.put("a", 2)


def test_a_put_costs_the_same_however_much_there_is(tmp_path):
    """By the steps of the database's own engine, and not by a clock."""

    def steps() -> int:
        store, counted = Store(tmp_path, LUNCH, 1 << 40), 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        opened = store._open

        def open_() -> sqlite3.Connection:
            database = opened()
            database.set_progress_handler(count, 10)
            return database

        store._open = open_
        assert store.put("y", 1)
        return counted

    Store(tmp_path, LUNCH, MIB).put("x", 1)
    before = steps()
    with closing(sqlite3.connect(tmp_path / "app-storage.db")) as database:
        rows = [("marketing", "where2eat", f"{number:x}", "1") for number in range(20_000)]
        database.executemany("INSERT INTO kept VALUES (?, ?, ?, ?)", rows)
        database.commit()
    assert steps() <= before + 10
