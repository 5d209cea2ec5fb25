"""What reaches the log: secrets and personal values never do, wherever in the request they are repeated."""

import json

from hypothesis import given
from hypothesis import strategies as st

from governance.model.decision import DENY, Answer, Decision, Violation
from governance.model.facts import Facts
from governance.model.request import Request, Source
from governance.record import entry_of, entry_of_query, masked

SECRET = "not-" + "a-real-key-0123456789"


def request(resource, **more):
    values = {
        "kind": "data_flow",
        "action": "send",
        "tenant": "marketing",
        "subject": {"id": "user-1"},
        "app": {"name": "lunch"},
        "resource": resource,
        "context": {},
        "dry_run": False,
        "source": Source("test", "key:1"),
        "digest": "sha256:0",
        "text": "{}",
    }
    return Request(**{**values, **more})


def decision(message="no"):
    violation = Violation("DATA-001", "t", "high", "enforce", DENY, "/payload", message, "do", ())
    return Decision(
        "id", "data_flow", DENY, (violation,), (), message, None, "rev", "in", "fa", "rvm", "2026-01-01", None, ""
    )


def test_a_value_that_a_finding_points_at_is_nowhere_in_the_entry():
    resource = {"payload": {"note": SECRET, "again": [f"see {SECRET}!"]}, "plain": "kept"}
    facts = Facts({"secrets": [{"pointer": "/payload/note", "entity": "API_KEY", "score": 1.0}], "pii": []}, "sha256:f")
    entry = entry_of(request(resource, context={"comment": SECRET}), facts, decision(f"found {SECRET}"))
    text = json.dumps([entry.public, entry.sealed])
    assert SECRET not in text
    assert "kept" in text
    assert entry.sealed["input"]["resource"]["payload"]["note"] == "[API_KEY]"


def test_what_an_update_replaces_is_named_by_its_digest_since_nobody_looked_into_it():
    old = {"kind": "Secret", "data": {"key": SECRET}}
    asked = request(
        {"kind": "Secret"}, kind="workload", context={"old_object": old, "namespace": "shop"}, text=json.dumps(old)
    )
    entry = entry_of(asked, Facts({}, "sha256:f", "{}"), decision())
    assert SECRET not in json.dumps([entry.public, entry.sealed])
    context = entry.sealed["input"]["context"]
    assert context["namespace"] == "shop"
    assert context["old_object"]["digest"].startswith("sha256:")


def test_a_member_named_as_a_credential_is_masked_without_a_finding():
    resource, hidden = masked({"headers": {"Authorization": "Bearer abcd1234", "Accept": "text/plain"}}, {})
    assert resource == {"headers": {"Authorization": "[credential]", "Accept": "text/plain"}}
    assert "Bearer abcd1234" in hidden


@given(
    st.recursive(
        st.text(max_size=8) | st.integers() | st.none(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from("abc/~"), x),
    )
)
def test_without_findings_nothing_is_changed(resource):
    assert masked(resource, {"pii": [], "secrets": []}) == (resource, ())


def test_the_public_part_holds_no_content():
    entry = entry_of(request({"payload": "words"}), Facts({}, "sha256:f"), decision())
    assert "words" not in json.dumps(entry.public)
    assert entry.public["rules"] == ["DATA-001"]
    assert entry.public["effect"] == "deny"


def test_what_nobody_could_look_into_is_not_kept():
    values = {"unavailable": ["pii"], "pii": [], "secrets": [], "schema_errors": [{"pointer": "/x", "message": SECRET}]}
    asked = request({"app": "lunch", "payload": SECRET}, text=json.dumps({"resource": SECRET}))
    entry = entry_of(
        asked, Facts(values, "sha256:0", json.dumps(values)), decision(f"refused: {SECRET}")._replace(reason="no")
    )
    assert SECRET not in str(entry)
    assert entry.sealed["input"]["resource"] == "[not scanned]"
    assert entry.sealed["facts"] == {"unavailable": ["pii"]}
    assert entry.public["rules"] == ["DATA-001"]


def test_a_question_that_nobody_could_look_into_is_on_record_without_its_input():
    asked = request({"path": "a/b", "input": {"x": SECRET}}, kind="query")
    found = {"unavailable": ["pii"], "pii": [], "secrets": []}
    entry = entry_of_query(
        asked, found, Answer(json.dumps(SECRET), "interpreter"), "rev", decision_id="id", now="2026-01-01"
    )
    assert SECRET not in str(entry)
    assert entry.public["path"] == "a/b"
