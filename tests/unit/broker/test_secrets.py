"""Secrets: sealed, bound to their name, gone after a rotation, and never shown."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3

import pytest

from governance.errors import CallerError, DependencyError, NotFound
from governance.platform.broker.secrets import EmbeddedSecrets, Secret, age_days

CANARY = "canary-77aa-not-to-be-seen"


@pytest.fixture
def store(tmp_path):
    return EmbeddedSecrets(tmp_path)


def test_a_value_comes_back_only_by_asking_for_it(store, tmp_path):
    store.put("marketing/hris", CANARY)
    found = EmbeddedSecrets(tmp_path).get("marketing/hris")
    assert found.reveal() == CANARY
    for shown in (repr(found), str(found), f"{found}", f"{found!r}", repr([found]), "%s" % found):  # noqa: UP031
        assert CANARY not in shown
    with pytest.raises(TypeError):
        json.dumps(found)
    with pytest.raises(TypeError):
        pickle.dumps(found)


def test_files_hold_no_value_and_belong_to_this_account(store, tmp_path):
    store.put("marketing/hris", CANARY)
    for path in tmp_path.iterdir():
        assert CANARY.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_a_rotation_replaces_and_counts(store):
    first = store.put("marketing/hris", CANARY)
    second = store.rotate("marketing/hris", "another-value")
    assert (first.version, second.version) == (1, 2)
    assert store.get("marketing/hris").reveal() == "another-value"
    assert [about.version for about in store.all()] == [2]


def test_put_does_not_replace_and_rotate_does_not_make(store):
    store.put("marketing/hris", CANARY)
    with pytest.raises(CallerError, match="exists"):
        store.put("marketing/hris", "x")
    with pytest.raises(NotFound):
        store.rotate("marketing/slack", "x")
    with pytest.raises(NotFound):
        store.get("marketing/slack")
    assert store.about("marketing/slack") is None


@pytest.mark.parametrize("name", ["hris", "../hris", "a/b/c", "A/b", "a/", "/a", "a/" + "b" * 64, "a/b\n"])
def test_a_name_is_tenant_and_handle(store, name):
    with pytest.raises(CallerError):
        store.put(name, "x")


@pytest.mark.parametrize("value", ["", "a\r\nb", "ä", "x" * 20_000, "a\0"])
def test_a_value_fits_into_a_header(store, value):
    with pytest.raises(CallerError) as caught:
        store.put("marketing/hris", value)
    assert value not in str(caught.value) or not value


def move(tmp_path, statement: str) -> None:
    database = sqlite3.connect(tmp_path / "secrets.db")
    database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE secrets SET name = 'marketing/slack'",
        "UPDATE secrets SET version = 2",
        "UPDATE secrets SET value = zeroblob(60)",
        "UPDATE secrets SET key = zeroblob(60)",
        "UPDATE secrets SET value = x'00'",
    ],
)
def test_a_row_that_was_moved_or_changed_does_not_open(store, tmp_path, statement):
    store.put("marketing/hris", CANARY)
    move(tmp_path, statement)
    name = store.all()[0].name
    with pytest.raises(DependencyError, match="does not open"):
        store.get(name)


def test_what_another_process_changes_counts_at_once(store, tmp_path):
    store.put("marketing/hris", CANARY)
    assert store.get("marketing/hris").reveal() == CANARY
    other = EmbeddedSecrets(tmp_path)
    other.rotate("marketing/hris", "another")
    assert (store.get("marketing/hris").reveal(), store.about("marketing/hris").version) == ("another", 2)
    other.drop("marketing/hris")
    assert store.about("marketing/hris") is None


def test_the_file_that_stands_at_the_path_is_the_store(store, tmp_path):
    """An open connection must not go on answering from a file that was taken away, or another was put in place of."""
    store.put("marketing/hris", CANARY)
    (tmp_path / "secrets.db").rename(tmp_path / "old.db")
    assert store.all() == []
    with pytest.raises(NotFound):
        store.get("marketing/hris")
    (tmp_path / "old.db").rename(tmp_path / "secrets.db")
    assert store.get("marketing/hris").reveal() == CANARY
    store.close()
    assert store.get("marketing/hris").reveal() == CANARY


def test_a_store_that_fails_once_is_asked_again(store, tmp_path):
    store.put("marketing/hris", CANARY)
    (tmp_path / "secrets.db").rename(tmp_path / "old.db")
    (tmp_path / "secrets.db").mkdir()
    with pytest.raises(DependencyError, match="store of secrets"):
        store.about("marketing/hris")
    (tmp_path / "secrets.db").rmdir()
    (tmp_path / "old.db").rename(tmp_path / "secrets.db")
    assert store.get("marketing/hris").reveal() == CANARY


def test_a_key_that_others_may_read_is_not_used(store, tmp_path):
    store.put("marketing/hris", CANARY)
    os.chmod(tmp_path / "secrets.key", 0o644)
    with pytest.raises(DependencyError, match="others may read"):
        store.get("marketing/hris")


def test_a_lost_key_is_not_made_anew_over_what_it_sealed(store, tmp_path):
    store.put("marketing/hris", CANARY)
    (tmp_path / "secrets.key").unlink()
    with pytest.raises(DependencyError, match="backup"):
        store.get("marketing/hris")
    with pytest.raises(DependencyError, match="backup"):
        store.put("marketing/slack", "x")


def test_age_is_whole_days(store):
    about = store.put("marketing/hris", CANARY)._replace(rotated="2026-11-01T00:00:00.000000Z")
    assert age_days(about, "2026-11-30T23:59:59.000000Z") == 29


def test_a_secret_is_not_a_text():
    assert not isinstance(Secret("x"), str)
