"""Releases on disk: the record comes first, what was changed is not served, and what is missing is said."""

from __future__ import annotations

import pytest

from governance.errors import NoAnswer, NotFound
from governance.platform.bundles.releases import Part, Shelf
from governance.platform.bundles.serving import NOTHING, Serving
from governance.platform.bundles.sources import Source
from governance.policy.active import activated
from governance.policy.build import build

SOURCES = (Source("main", "https://bundles.example/b.tar.gz"),)
RULE = """# METADATA
# title: t
# description: d
# custom:
#   id: LIFE-001
#   severity: high
#   applies_to: [lifecycle]
#   controls: [A.1]
#   remediation: r
package platform.rules.lifecycle.state

deny contains {"path": [], "message": "%s"}
"""


@pytest.fixture
def packed(tmp_path):
    def make(text):
        folder = tmp_path / f"pack-{text}"
        folder.mkdir()
        (folder / "state.rego").write_text(RULE % text)
        (folder / ".manifest").write_text(f'{{"revision": "{text}"}}')
        return build(str(folder), [])

    return make


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "home")
    made.prepare()
    return made


def add(shelf, raw, config="c"):
    return shelf.add(raw, config, [Part("main", "x", "r")])


def silently(_):
    return None


def test_a_release_that_could_not_be_recorded_is_not_in_force(shelf, packed):
    def refuse(_):
        raise OSError("the disk is full")

    release = add(shelf, packed("one"))
    with pytest.raises(OSError, match="full"):
        shelf.activate(release, "me", refuse, pin=False, why="")
    assert shelf.standing() is None
    heard = []
    shelf.activate(release, "me", heard.append, pin=True, why="because")
    standing = shelf.standing()
    assert (standing.release, standing.by, standing.is_pinned) == (release, "me", True)
    assert [(row["from"], row["to"], row["actor"], row["why"]) for row in heard] == [("", "one", "me", "because")]


def test_it_is_found_by_revision_and_by_the_beginning_of_its_id(shelf, packed):
    release = add(shelf, packed("one"))
    assert shelf.find("one") == shelf.find(release.id[:8]) == release
    for wanted in ("two", release.id[:7], "", "../active"):
        with pytest.raises(NotFound):
            shelf.find(wanted)


def test_what_was_changed_or_could_have_been_is_not_served(shelf, packed):
    release = add(shelf, packed("one"))
    path = shelf.folder / "compiled" / release.id
    raw = path.read_bytes()
    assert shelf.packed(release.id) == raw
    path.write_bytes(raw.replace(b'"message"', b'"massage"'))
    assert shelf.packed(release.id) is None
    path.write_bytes(raw)
    path.chmod(0o666)
    assert shelf.packed(release.id) is None
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert shelf.packed(release.id) is None


def test_a_worker_swaps_keeps_and_never_serves_what_was_made_for_something_else(shelf, packed, tmp_path):
    serving = Serving(tmp_path / "home", SOURCES, "c", 0)
    assert (serving.active.revision, serving.missing()) == (NOTHING, ["main"])
    with pytest.raises(NoAnswer, match="no bundle is in force yet"):
        serving.active.engine.rule("data.platform.main.lifecycle", "{}")
    shelf.activate(add(shelf, packed("other"), "another config"), "me", silently, pin=False, why="")
    assert serving.refresh() == ""
    assert serving.active.revision == NOTHING
    shelf.activate(add(shelf, packed("one")), "me", silently, pin=False, why="")
    assert (serving.refresh(), serving.active.revision, serving.missing()) == ("serves one", "one", [])
    assert serving.refresh() == ""
    broken = add(shelf, packed("two"))
    (shelf.folder / "compiled" / broken.id).write_bytes(b"{}")
    shelf.activate(broken, "me", silently, pin=False, why="")
    assert "keeps one" in serving.refresh()
    assert serving.active.revision == "one"
    (shelf.folder / "active.json").write_text("nonsense")
    serving.refresh()
    assert serving.active.revision == "one"


@pytest.mark.parametrize("moment", ["", "2020-01-01T00:00:00Z", "nonsense", None])
def test_one_that_is_older_than_allowed_answers_nothing(shelf, packed, tmp_path, moment):
    shelf.activate(add(shelf, packed("one")), "me", silently, pin=False, why="")
    shelf.write_status({"bundles": {"main": {"last_successful_request": moment, "active_revision": "one"}}})
    serving = Serving(tmp_path / "home", SOURCES, "c", 60)
    assert serving.missing() == ["main"]
    with pytest.raises(NoAnswer, match="was not fetched for more than 60 s"):
        serving.active.engine.rule("data.platform.main.lifecycle", "{}")
    assert serving.active is serving.active
    shelf.write_status({"bundles": {"main": {"last_successful_request": "2999-01-01T00:00:00Z"}}})
    serving.refresh()
    assert serving.active.revision == "one"
    assert serving.active.rules.keys() == {"LIFE-001"}


def test_old_releases_go_and_the_one_in_force_stays(shelf, packed):
    first = packed("one")
    release = add(shelf, first)
    shelf.activate(release, "me", silently, pin=False, why="")
    for number in range(25):
        add(shelf, first.replace(b'"revision": "one"', b'"revision": "r%d"' % number))
    assert len(shelf.all()) <= 21
    assert activated(shelf.packed(release.id)).revision == "one"
