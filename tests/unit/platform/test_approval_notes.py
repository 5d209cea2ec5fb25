"""Approvals that leave an installation: signed, of nobody by name, and nothing else is taken for them."""

from __future__ import annotations

import json

import pytest

from audit.keys import SigningKey
from audit.notes import opened
from governance.errors import CallerError
from governance.platform.approval_notes import note_of, read_note

KEY, OTHER = SigningKey("log.example", b"1" * 32), SigningKey("log.example", b"2" * 32)
HELD = {
    "calendar": {
        "sha256:1": [
            {"as": "owner", "by": "key:1", "role": "citizen", "team": "support", "person": "ana.k", "at": "2026-11-25"},
            {
                "as": "compliance",
                "by": "key:2",
                "role": "compliance",
                "team": "",
                "person": "ben.o",
                "at": "2026-11-25",
            },
        ],
        "*": [{"as": "owner", "withdrawn_by": "key:1", "at": "2026-11-25"}],
    },
    "other": {
        "sha256:2": [{"as": "owner", "by": "key:3", "role": "citizen", "team": "x", "person": "ana.k", "at": ""}]
    },
}


def test_what_is_read_is_what_was_written_but_for_who_it_was():
    note = note_of(HELD, KEY)
    assert not [name for name in ("ana", "ben", "key:") if name in note]
    held = read_note(note, str(KEY.verifier), "note")
    owner, officer = held["calendar"]["sha256:1"]
    assert owner["person"] == held["other"]["sha256:2"][0]["person"] != officer["person"] != ""
    assert held["calendar"]["*"][0]["withdrawn_by"] == owner["by"]
    assert {**owner, "by": "", "person": ""} == {**HELD["calendar"]["sha256:1"][0], "by": "", "person": ""}


def test_nobody_s_person_stays_nobody():
    row = {**HELD["calendar"]["sha256:1"][0], "person": ""}
    assert read_note(note_of({"a": {"d": [row]}}, KEY), str(KEY.verifier), "note")["a"]["d"][0]["person"] == ""


def test_while_one_key_follows_another_both_are_good():
    both = SigningKey("log.example", b"3" * 32, b"1" * 32)
    for key in both.verifiers:
        assert read_note(note_of(HELD, both), str(key), "note")


@pytest.mark.parametrize(
    "note",
    [
        note_of(HELD, OTHER),
        note_of(HELD, KEY).replace("support", "sales"),
        note_of(HELD, KEY).replace("sha256:2", "sha256:3"),
        note_of(HELD, KEY).rpartition("\n\n")[0],
        KEY.checkpoint(3, b"0" * 32),
        KEY.note("log.example/erasure\ntime 2026\n{}\n"),
        KEY.note("elsewhere/connector-approvals\ntime 2026\n{}\n"),
        KEY.note("log.example/connector-approvals\n{}\n"),
        KEY.note("log.example/connector-approvals\ntime 2026\n{}\n{}\n"),
        json.dumps(HELD),
        "",
    ],
)
def test_nothing_else_is_taken_for_approvals(note):
    with pytest.raises(CallerError, match=r"^note: "):
        read_note(note, str(KEY.verifier), "note")


@pytest.mark.parametrize("key", ["", "log.example", f"{KEY.verifier}0", str(OTHER.verifier)])
def test_the_key_that_was_named_has_to_have_signed_it(key):
    with pytest.raises(CallerError):
        read_note(note_of(HELD, KEY), key, "note")


def test_it_is_a_note_that_others_can_open():
    assert opened(note_of(HELD, KEY), KEY.verifier).startswith("log.example/connector-approvals\ntime 2")
