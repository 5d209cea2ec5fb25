"""Which approvals count for a document, however many there were and in whatever order they came."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors_registry.agreements import EVERY, rows_of, withdrawn
from connectors_registry.agreements import given as in_force
from governance.platform.connector_approvals import Approvals, Asked, AskedBack
from governance.platform.keys import Identity
from governance.state.files import FileState

ENTRY = {"name": "calendar", "owner": "collaboration"}
DIGESTS = [f"sha256:{number}" for number in range(30)]
STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["owner", "compliance"]), st.sampled_from([*DIGESTS[:3], EVERY])),
    max_size=12,
)


def step(approvals, part, digest, *, is_yes):
    who = Identity(f"key:{part}", "compliance", "", "", f"{part}.one")
    asked = Asked if is_yes else AskedBack
    approvals.keep(asked(ENTRY, approvals, who, part=part, digest=digest, reason="read"))


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_the_last_word_about_a_document_counts(tmp_path_factory, steps):
    """Against a model: for each document and part the last step that was about it, or about all of them."""
    approvals, last = Approvals(FileState(str(tmp_path_factory.mktemp("home")))), {}
    for is_yes, part, digest in steps:
        if is_yes and digest == EVERY:
            continue
        step(approvals, part, digest, is_yes=is_yes)
        for one in DIGESTS if digest == EVERY else [digest]:
            last[one, part] = is_yes
    for digest in DIGESTS[:4]:
        rows = approvals.rows("calendar", digest)
        said = {row["as"]: True for row in in_force(rows)} | dict.fromkeys(withdrawn(rows), False)
        assert said == {part: yes for (about, part), yes in last.items() if about == digest}
        assert len(rows) == len(said)


def test_what_was_taken_back_is_not_forgotten_for_what_came_later(tmp_path):
    approvals = Approvals(FileState(str(tmp_path)))
    step(approvals, "compliance", DIGESTS[0], is_yes=False)
    for digest in DIGESTS[1:]:
        step(approvals, "owner", digest, is_yes=True)
    assert withdrawn(approvals.rows("calendar", DIGESTS[0])) == ["compliance"]
    assert approvals.rows("calendar", DIGESTS[1]) == []
    assert len(approvals.held()["calendar"]) == 21


def test_of_a_connector_that_nobody_spoke_of_nothing_counts():
    assert rows_of({}, DIGESTS[0]) == []
