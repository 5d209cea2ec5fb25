"""A call from its question to its masked answer, and everything that may go wrong between."""

from __future__ import annotations

import base64
import gzip
import json
import time

import pytest

from governance.errors import GovernanceError, InternalError
from governance.platform.broker.doubles import Reply, hris
from governance.platform.broker.limits import Call
from tests.unit.broker.conftest import CANARY, HOST


def rules(called) -> set[str]:
    assert called.refusal is not None, called
    assert called.answer is None
    return {violation.rule for violation in called.refusal.violations}


def test_an_app_sees_what_it_declared_and_nothing_else(world):
    world.vendor = hris(CANARY)
    called = world.call()
    assert called.refusal is None, called.refusal
    first = called.answer["Resources"][0]
    assert first["dietaryPreference"] == "vegan"
    assert first["department"] == "Campaigns"
    assert first["name"] == "[masked]"
    assert "E-1001" not in json.dumps(called.answer)
    assert "ada" not in json.dumps(called.answer).lower()


def test_both_decisions_are_records_of_one_trace_without_people_or_credentials(world):
    world.vendor = hris(CANARY)
    world.call()
    call, answer = world.records()[-2:]
    assert (call["kind"], answer["kind"]) == ("connector_call", "data_flow")
    assert call["public"]["trace_id"] == answer["public"]["trace_id"] == "ab" * 16
    assert call["public"]["actor"] == answer["public"]["actor"] == "app:where2eat/where2eat-1"
    kept = json.dumps(world.records())
    assert CANARY not in kept
    assert "Ada" not in kept
    assert "vegan" in kept


def test_the_vendor_gets_the_host_s_name_its_credential_and_only_headers_that_may_pass(world):
    world.vendor = hris(CANARY)
    world.call(headers={"accept": "application/json", "x-team": "campaigns", "cookie": "a=b"})
    (asked,) = world.double.asked
    assert asked.host == HOST
    assert asked.target == "/scim/v2/Users?team=campaigns"
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert set(asked.headers) == {"host", "accept", "accept-encoding", "user-agent", "authorization"}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"headers": {"Host": "intranet.example.com"}}, "EGR-007"),
        ({"headers": {"accept": "a\r\nHost: b"}}, "EGR-007"),
        ({"headers": {"X-Forwarded-Host": "b"}}, "EGR-007"),
        ({"headers": ["a"]}, "EGR-007"),
        ({"url": "https://collect.evil.example/scim/v2/Users"}, "EGR-002"),
        ({"url": f"https://{HOST}/v1/salaries"}, "CONN-007"),
        ({"scopes": ["employees:read", "employees:write"]}, "OAUTH-006"),
        ({"method": "PATCH", "operation": "change employee", "scopes": ["employees:write"]}, "OAUTH-006"),
        ({"method": "DELETE"}, "CONN-007"),
        ({"scopes": None}, "CONN-007"),
        ({"body": {"password": "hunter2hunter2"}, "method": "GET"}, "DATA-010"),
        ({"headers": {"Accept": "text/csv", "accept": "application/json"}}, "EGR-007"),
        ({"headers": {"Content-Type": "text/plain", "content-type": "application/json"}}, "EGR-007"),
        ({"headers": {"X-HTTP-Method-Override": "DELETE"}}, "EGR-007"),
        ({"headers": {":authority": "evil.example"}}, "EGR-007"),
        ({"body": "x\r\n\r\nGET /v1/salaries HTTP/1.1\r\nHost: a\r\n\r\n"}, "CONN-012"),
        ({"body": {"a": 1}}, "CONN-012"),
        ({"body": ""}, "CONN-012"),
        ({"method": "get"}, "CONN-007"),
        ({"method": "GET /v1/salaries HTTP/1.1\r\nX:"}, "CONN-007"),
        ({"connector": "HRIS"}, "CONN-001"),
        ({"connector": "hris\u200b"}, "CONN-001"),
        ({"scopes": "employees:read"}, "CONN-007"),
        ({"scopes": [["employees:read"]]}, "OAUTH-006"),
        ({"url": f"https://{HOST}/scim/v2/Users?token=ghp_{'a' * 36}"}, "DATA-010"),
        ({"url": f"https://{HOST}/scim/v2/Users?t=%67hp_{'a' * 36}"}, "DATA-010"),
        ({"url": f"https://{HOST}/scim/v2/Users?iban=DE89370400440532013000"}, "DATA-008"),
    ],
)
def test_what_the_app_may_not_ask_never_leaves(world, changes, rule):
    assert rule in rules(world.call(**changes))
    assert world.double.asked == []


@pytest.mark.parametrize("value", ["a\nHost: b", "a\rb", "a\n", "a\0", "a\x0bb", "é"])
@pytest.mark.parametrize("where", ["name", "value"])
def test_no_line_of_its_own_begins_in_a_header(world, value, where):
    headers = {value: "x"} if where == "name" else {"accept": value}
    assert "EGR-007" in rules(world.call(headers=headers))
    assert world.double.asked == []


def test_a_connector_that_the_app_was_not_deployed_with_is_refused(world):
    assert "CONN-008" in rules(world.call(connector="slack", url="https://slack.com/api/users.list", operation=None))


def test_an_app_that_nobody_deployed_calls_nothing(world):
    from governance.platform.broker.tokens import Caller

    assert "REQ-004" in rules(world.call(caller=Caller("nobody", "marketing", "n-1")))
    assert "REQ-003" in rules(world.call(caller=Caller("where2eat", "hr", "n-1")))


def test_without_a_credential_there_is_no_call(world):
    (world.folder / "home" / "secrets.db").unlink()
    assert rules(world.call()) == {"SEC-005"}
    assert world.double.asked == []


def test_the_call_after_the_last_of_the_minute_is_refused_and_costs_nothing(world):
    world.answers({"Resources": []})
    for _ in range(60):
        assert world.call().refusal is None
    assert rules(world.call()) == {"CONN-010"}
    assert len(world.double.asked) == 60
    world.broker._parts = world.broker._parts._replace(clock=lambda: __import__("time").time() + 61)
    assert world.call().refusal is None


def test_refused_calls_do_not_use_up_the_quota(world):
    world.answers({"Resources": []})
    for _ in range(61):
        world.call(method="DELETE")
    assert world.call().refusal is None


@pytest.mark.parametrize(
    ("operation", "method", "cost"),
    [("list employees", "GET", 200), (None, "GET", 200), ("read preferences", "GET", 0), ("list employees", "PUT", 0),
     (["list employees"], "GET", 0), (7, "GET", 0)],
)  # fmt: skip
def test_a_call_costs_what_its_operation_costs_and_a_refused_one_nothing(world, operation, method, cost):
    """Whatever was set aside for it: the most that the operation it names may cost, or any of that method."""
    world.answers({"Resources": []})
    called = world.call(operation=operation, method=method)
    assert called.call.is_allowed == bool(cost)
    meter, about = world.broker._parts.meter, Call("where2eat", "marketing", "", "hris")
    now = time.time()
    usage = meter.take(about, now, time.strftime("%Y-%m-%d", time.gmtime(now))).usage
    assert (usage["app_microeur"], usage["tenant_microeur"]) == (cost, cost)


def test_a_meter_that_fails_refuses(world):
    world.broker._parts.meter.close()
    (world.folder / "home" / "usage.db").unlink(missing_ok=True)
    (world.folder / "home" / "usage.db").mkdir()
    assert "REQ-007" in rules(world.call())
    assert world.double.asked == []


def test_people_that_the_connector_should_not_have_returned_are_masked_as_well(world):
    world.answers({"Resources": [], "debug": {"last": "erika.mustermann@example.com", "call": "+49 170 1234567"}})
    answer = world.call().answer
    assert (answer["Resources"], set(answer["debug"])) == ([], {"last", "call"})
    assert not any(word in json.dumps(answer) for word in ("erika", "mustermann", "170 123"))


@pytest.mark.parametrize(
    ("body", "content_type", "rule"),
    [
        ({"token": "hunter2hunter2"}, "application/json", "DATA-010"),
        ({"note": "ghp_" + "a" * 36}, "application/json", "DATA-010"),
        ({"iban": "DE89370400440532013000"}, "application/json", "DATA-008"),
        (b"%PDF-1.7", "application/pdf", "DATA-012"),
        (b"<html></html>", "text/html", "DATA-012"),
        (b"x", "", "DATA-012"),
    ],
)
def test_an_answer_that_may_not_be_seen_is_not_seen(world, body, content_type, rule):
    world.answers(body, content_type)
    called = world.call()
    assert rule in rules(called)
    assert called.call.is_allowed


@pytest.mark.parametrize(
    "body", [{"Resources": ["Ada"]}, {"Resources": [{"id": 7}]}, {"Resources": "Ada"}, ["Ada"], "Ada"]
)
def test_an_answer_of_another_shape_than_was_asked_for_is_refused(world, body):
    world.answers(body)
    assert "CONN-012" in rules(world.call())


ADA = {
    "id": "E-1001", "userName": "ada@example.com", "name": {"formatted": "Ada Example"},
    "emails": [{"value": "ada@example.com"}], "dietaryPreference": "vegan",
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body",
    [
        ADA,
        {"value": [ADA]},
        {"data": {"Resources": [ADA]}},
        {"Resources": [{**ADA, "manager": ADA}]},
        {"Resources": [], "urn:example:more": {"of": {"E-1001": ADA}}},
    ],
    ids=["one person", "another list", "deeper", "a person in a person", "beside the list"],
)
def test_whatever_a_vendor_wraps_people_in_their_fields_stay_hidden(world, body, status):
    world.answers(body, status=status)
    called = world.call()
    assert called.refusal is None, called.refusal
    shown = json.dumps(called.answer).replace('"E-1001": {', "")
    assert "vegan" in shown
    assert not any(word in shown for word in ("E-1001", "Ada", "ada", "formatted", 'value": "'))


def test_one_person_s_page_is_another_operation_than_the_list(world):
    world.answers({"id": "E-1001", "name": {"formatted": "Ada Example"}, "dietaryPreference": "vegan"})
    url = f"https://{HOST}/scim/v2/Users/E-1001"
    assert "CONN-007" in rules(world.call(url=url))
    seen = world.call(url=url, operation=None).answer
    assert (seen["id"], seen["name"], seen["dietaryPreference"]) == ("[masked]", "[masked]", "vegan")
    for beyond in (
        f"{url}/groups",
        f"{url}/",
        f"https://{HOST}/scim/v2/Users/;x",
        f"https://{HOST}/scim/v2/Users/a:export",
    ):
        assert "CONN-007" in rules(world.call(url=beyond, operation=None))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"", status=302, headers={"location": "https://evil.example/x?secret=1"}), "redirects to evil.example;"),
        (Reply(b"", status=307, headers={"location": "/elsewhere"}), "redirects to a path of its own"),
        (Reply(b"a" * ((1 << 20) + 1), "text/plain"), "more than 1048576 bytes"),
        (Reply(gzip.compress(b"0" * (200 << 20), 1), headers={"content-encoding": "gzip"}), "more than 1048576 bytes"),
        (Reply(gzip.compress(b"{}")[:-4], headers={"content-encoding": "gzip"}), "cut off"),
        (Reply(b"no gzip", headers={"content-encoding": "gzip"}), "not gzip"),
        (Reply(b"{}", headers={"content-encoding": "br"}), "'br'"),
        (Reply(b"{"), "cannot be read"),
        (Reply(b'{"a": 1, "a": 2}'), "cannot be read"),
        (Reply(b"\xff\xfe"), "cannot be read"),
        (Reply(json.dumps({"echo": f"Bearer {CANARY}"}).encode()), "repeats the credential"),
        (Reply(json.dumps({"echo": CANARY}).replace("c", "\\u0063").encode()), "repeats the credential"),
        (Reply(b"{}", headers={"etag": f'"{CANARY}"'}), "repeats the credential"),
        (
            Reply(json.dumps({"sent": [base64.b64encode(f"Bearer {CANARY}".encode()).decode()]}).encode()),
            "repeats the cr",
        ),
        (Reply(json.dumps({"sent": CANARY.encode().hex().upper()}).encode()), "repeats the credential"),
        (
            Reply(b"", status=302, headers={"location": f"https://{CANARY}.evil.example/"}),
            "credential where it should not",
        ),
        (Reply(b"{}", headers={"content-encoding": CANARY}), "credential where it should not"),
        (Reply(b'{"%b": 1, "%b": 2}' % (CANARY.encode(), CANARY.encode())), "a member stands twice in one object"),
        (Reply(b'{"Zoe Zyx": 1, "Zoe Zyx": 2}'), "cannot be read: not JSON: a member stands twice in one object"),
        (Reply(b'{"a": {"name": 1, "n\\u0061me": 2}}'), "a member stands twice"),
        (Reply(b'{"n": 1e999}'), "infinity"),
        (Reply(b'{"n": ' + b"9" * 5000 + b"}"), "cannot be read"),
        (Reply(b"[" * 100_000), "nested deeper"),
        (Reply(b'{"n": "\\ud800"}'), "surrogate"),
        (
            Reply(gzip.compress(b"{}") + gzip.compress(b'{"b": 1}'), headers={"content-encoding": "gzip"}),
            "more than what",
        ),
        (
            Reply(gzip.compress(b"{}") + b"A" * (1 << 19), headers={"content-encoding": "gzip"}),
            "more than what is packed",
        ),
        (Reply(gzip.compress(b"{}"), headers={"content-encoding": "gzip, gzip"}), "'gzip, gzip'"),
        (Reply(b"{}", headers={"content-encoding": "GZIP"}), "not gzip"),
        (Reply(json.dumps([CANARY[:9], CANARY[9:]]).encode(), status=401), "repeats the credential"),
        (Reply(json.dumps({"detail": "".join(f"&#{ord(c)};" for c in CANARY)}).encode(), status=500), "repeats the cr"),
        (Reply(b"{}", headers={"etag": f'W/"{base64.b64encode(CANARY.encode()).decode()}"'}), "repeats the credential"),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_a_failure_with_a_reason_and_a_record(world, reply, words):
    world.vendor = lambda asked: reply
    with pytest.raises(GovernanceError) as caught:
        world.call()
    assert words in str(caught.value)
    last = world.records()[-1]
    for shown in (str(caught.value), json.dumps(last)):
        assert not any(word in shown for word in (CANARY, CANARY[:10], "Zoe"))
    assert (last["kind"], last["public"]["trace_id"]) == ("refused", "ab" * 16)
    assert last["public"]["error"] == caught.value.code


def test_an_address_that_no_request_line_holds_is_refused_on_record_and_closes_nobody_s_way(world):
    world.answers({"Resources": []})
    for _ in range(6):
        with pytest.raises(GovernanceError, match="the address cannot be sent"):
            world.call(url=f"https://{HOST}/scim/v2/Users?q={'a' * 70_000}")
        assert world.records()[-1]["kind"] == "refused"
    assert world.call().refusal is None


@pytest.mark.parametrize(
    "person",
    [
        {"USERNAME": "ada", "ID": "E-1001", "Emails": [{"value": "ada"}], "NAME": {"givenName": "Ada"}},
        {"username ": "ada", "iD": "E-1001", "emails\u200b": ["ada"], "\uff4eame": {"formatted": "Ada"}},
    ],
)
def test_a_field_is_hidden_in_whatever_letters_its_name_is_written(world, person):
    """RFC 7643, section 2.1: names of attributes are the same in any case."""
    world.answers({"Resources": [person], "resources": [person]})
    assert not any(word in json.dumps(world.call().answer) for word in ("E-1001", "Ada", "ada"))


@pytest.mark.parametrize(
    ("etag", "kept"), [('W/"3-f1a"', True), ('"ada@example.com"', False), ('"Ada%40example.com"', False)]
)
def test_a_header_of_an_answer_is_decided_on_with_it(world, etag, kept):
    world.answers({"Resources": []}, etag=etag)
    called = world.call()
    assert (called.refusal, called.answer) == (None, {"Resources": []})
    assert called.headers == ({"etag": etag} if kept else {})
    assert "ada@example" not in json.dumps(world.records()).lower()


def test_a_header_that_holds_a_secret_lets_nothing_pass(world):
    world.answers({"Resources": []}, etag='"ghp_' + "a" * 36 + '"')
    assert "DATA-010" in rules(world.call())


@pytest.mark.parametrize("key", ["a/b", "~1", "", "-", "0", "*", "**", "a\u0000b".replace("\0", "%00")])
def test_a_finding_is_hidden_under_whatever_key_it_stands(world, key):
    world.answers({"Resources": [], "more": {key: [{key: "ada@example.com"}]}})
    called = world.call()
    assert called.refusal is None
    assert "ada@" not in json.dumps(called.answer)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed; boundary=x", "message/http", "application/json, text/html", "text/event-stream", "application/json-seq",
     "application/octet-stream", "image/svg+xml", "text/html", "application/jwt", "application/problem+json"],
)  # fmt: skip
def test_an_answer_of_a_form_that_nobody_looks_into_does_not_pass(world, content_type):
    world.answers(b'{"detail": "ada@example.com"}', content_type, status=500)
    assert "DATA-012" in rules(world.call())


def test_lines_end_where_json_says_so_and_nowhere_else(world):
    world.answers('{"dietaryPreference": "a\u2028b\x85c"}\r\n{"userName": "Ada"}\n'.encode(), "application/x-ndjson")
    url = f"https://{HOST}/v1/employees/export"
    assert world.call(url=url, operation=None).answer == [
        {"dietaryPreference": "a\u2028b\x85c"},
        {"userName": "[masked]"},
    ]


def test_an_unfolded_answer_within_the_bounds_is_read(world):
    world.vendor = lambda asked: Reply(gzip.compress(b'{"Resources": []}'), headers={"content-encoding": "gzip"})
    assert world.call().answer == {"Resources": []}


def test_an_error_of_the_vendor_is_an_answer_like_any_other(world):
    world.answers({"detail": "try later, ask ada@example.com"}, status=429)
    called = world.call()
    assert called.status == 429
    assert "ada" not in called.answer["detail"]


def test_a_question_that_is_none_is_refused_by_place(world):
    with pytest.raises(GovernanceError, match="'tenant' is not a member"):
        world.call(tenant="hr")


@pytest.mark.parametrize("body", [{"Resources": [{"note": "&#" + "9" * 5000}]}, "&#" + "0" * 5000])
def test_a_number_too_long_for_a_letter_is_an_answer_like_any_other(world, body):
    world.answers(body)
    called = world.call()
    assert called.answer_decision is not None
    assert world.records()[-1]["public"]["decision_id"] == called.answer_decision.decision_id


def broken_with(said):
    def spec_of(app):
        raise ValueError(said)

    return spec_of


def test_a_fault_of_our_own_is_on_record_without_what_it_says(world):
    world.answers({"Resources": []})
    world.broker._parts = world.broker._parts._replace(spec_of=broken_with(f"{CANARY} of ada@example.com"))
    with pytest.raises(InternalError, match="the call failed: ValueError") as caught:
        world.call()
    assert caught.value.__suppress_context__
    last = world.records()[-1]
    assert (last["kind"], last["public"]["error"]) == ("refused", caught.value.code)
    assert not any(word in json.dumps(last) for word in (CANARY, "ada@"))
