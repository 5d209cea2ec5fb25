"""What reaches the log: secrets and personal values never do, wherever in the request they are repeated."""

import json

from hypothesis import given
from hypothesis import strategies as st

from audit.record import text_of
from governance.enrich.scan import findings_beside, without_findings
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


def recorded(entry, name):
    """A sealed member as somebody reads it who may."""
    return json.loads(text_of(entry.sealed[name]))


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
    assert recorded(entry, "input")["resource"]["payload"]["note"] == "[API_KEY]"


@given(st.text(min_size=4, max_size=12), st.text(max_size=6), st.sampled_from(["facts", "context", "name", "nowhere"]))
def test_a_hidden_value_is_nowhere_whatever_it_is_written_with(value, around, place):
    """Quotes, backslashes and line ends are written differently in JSON: they hide no repetition."""
    repeated = f"{around}{value}{around}"
    resource = {"note": value, "kept": {repeated if place == "name" else "n": 1}}
    values = {
        "pii": [{"pointer": "/note", "entity": "NOTE", "score": 1.0}],
        "app": repeated if place == "facts" else "",
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    context = {"said": repeated} if place == "context" else {}
    entry = entry_of(request(resource, context=context), Facts(values, "sha256:f", text), decision())
    told = {
        "resource": {"note": "[NOTE]", "kept": {repeated.replace(value, "[masked]") if place == "name" else "n": 1}},
        "context": {"said": repeated.replace(value, "[masked]")} if place == "context" else {},
    }
    assert {name: recorded(entry, "input")[name] for name in told} == told
    assert recorded(entry, "facts")["app"] == (repeated.replace(value, "[masked]") if place == "facts" else "")
    assert set(recorded(entry, "input")) == {"kind", "action", "tenant", "subject", "context", "dry_run", "resource"}


def test_what_stands_beside_the_resource_is_looked_into_as_well():
    key = "AKIA" + "QWERTZUIOPASDFGH"
    claims = {"id": "user-1@example.com", "actor": "key:1", "mail": "somebody.else@example.com", "key": key}
    asked = request({"payload": "plain"}, context={"note": f"see {key}"}, subject=claims, action=key, tenant=key)
    beside = findings_beside(asked)
    entry = entry_of(asked, Facts({}, "sha256:f", "{}"), decision(), (), beside)
    text = json.dumps([entry.public, entry.sealed])
    assert key not in text
    assert "somebody.else" not in text
    assert recorded(entry, "input")["subject"]["id"] == "user-1@example.com"


def test_a_reason_that_quotes_a_secret_is_kept_without_it():
    key = "AKIA" + "QWERTZUIOPASDFGH"
    told = without_findings(f"/kind: kind '{key}' is not one of deploy, template; ask somebody.else@example.com")
    assert key not in told
    assert "somebody.else" not in told
    assert told.startswith("/kind: kind '[")
    assert without_findings("/kind: has to be text") == "/kind: has to be text"


def test_a_value_that_a_finding_points_at_is_in_no_public_member_either():
    resource = {"app": SECRET, "connector": SECRET}
    found = [{"pointer": f"/{name}", "entity": "API_KEY", "score": 1.0} for name in resource]
    entry = entry_of(request(resource, app={"name": SECRET}), Facts({"secrets": found}, "sha256:f"), decision())
    assert SECRET not in json.dumps([entry.public, entry.sealed])


def test_what_an_update_replaces_is_named_by_its_digest_since_nobody_looked_into_it():
    old = {"kind": "Secret", "data": {"key": SECRET}}
    asked = request(
        {"kind": "Secret"}, kind="workload", context={"old_object": old, "namespace": "shop"}, text=json.dumps(old)
    )
    entry = entry_of(asked, Facts({}, "sha256:f", "{}"), decision())
    assert SECRET not in json.dumps([entry.public, entry.sealed])
    context = recorded(entry, "input")["context"]
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
    assert recorded(entry, "input")["resource"] == "[not scanned]"
    assert recorded(entry, "facts") == {"unavailable": ["pii"]}
    assert entry.public["rules"] == ["DATA-001"]


def test_a_question_that_nobody_could_look_into_is_on_record_without_its_input():
    asked = request({"path": "a/b", "input": {"x": SECRET}}, kind="query")
    found = {"unavailable": ["pii"], "pii": [], "secrets": []}
    entry = entry_of_query(
        asked, found, Answer(json.dumps(SECRET), "interpreter"), "rev", decision_id="id", now="2026-01-01"
    )
    assert SECRET not in str(entry)
    assert entry.public["path"] == "a/b"
