"""One document that cannot be read stops its own app, and no other."""

from __future__ import annotations

import io
import json

import pytest

from governance.enrich.apps import AppDirectory
from governance.entrypoints.cli import events
from governance.errors import Damaged
from governance.state.files import FileState


@pytest.mark.parametrize("text", ['{"spec": {"ten', "[]", "{}", '{"spec": 7}', "\x00\xff"])
def test_a_damaged_app_gets_nothing_and_the_others_go_on(tmp_path, monkeypatch, text):
    folder = tmp_path / "apps"
    folder.mkdir()
    whole = {"spec": {"tenant": "t"}, "digest": "d", "decision_id": "i", "state": "active", "state_since": ""}
    (folder / "lunch.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "menu.json").write_text(text, encoding="utf-8")
    directory = AppDirectory(FileState(tmp_path))
    assert directory.specs() == [("lunch", {"tenant": "t"})]
    assert directory.damaged() == {"apps/menu.json": False}
    with pytest.raises(Damaged, match=r"apps/menu\.json"):
        directory.subscribers()
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    said = io.StringIO()
    assert events.run(["status"], io.StringIO(), said, io.StringIO()) == 1
    assert "apps/menu.json is damaged: its app may do nothing, NOBODY CAN PUBLISH" in said.getvalue()
    (folder / "menu.json").write_text(json.dumps(whole), encoding="utf-8")
    assert directory.damaged() == {}
    assert len(directory.specs()) == 2
