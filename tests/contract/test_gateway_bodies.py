"""What the decision service obliges the gateway to do with bodies: values cut out of requests, answers held until it says yes.

The service is something that answers like it; what it decides is tested beside it (`tests/unit/cli/test_gateway.py` has both).
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import time
from pathlib import Path

import pytest

from runtime_adapters.gateway.checks import check
from runtime_adapters.gateway.configuration import ANSWERING
from runtime_adapters.gateway.state import Backend, DecisionService, Endpoint, GatewayRefusal, Limits
from tests.contract.gateways import HOST, WIDE, Upstream, presented, running_in
from tests.ports import free_port

SERVICE_KEY = 'gk_77_"]]\\secret'
MAIL, CARD = "bob@example.com", "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_in(tmp_path_factory.mktemp("gateway") / "xds") as running:
        running.service = Upstream("service")
        yield running
        running.service.stop()


@pytest.fixture(autouse=True)
def _plain(gateway):
    gateway.upstream.says = None
    gateway.service.says = (200, {"x-decision-id": "d-1"}, b"")
    gateway.upstream.calls.clear()
    gateway.service.calls.clear()


def serve(gateway, endpoint: Endpoint | None = None, timeout_ms: int = 2000, **app) -> None:
    service = DecisionService(endpoint or gateway.service.endpoint, SERVICE_KEY, timeout_ms=timeout_ms)
    gateway.apply(gateway.app(asks=True, **app), service=service)


def cpu_seconds(pid: int) -> float:
    """User and system time (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class TestRequests:
    @pytest.fixture(autouse=True)
    def _cutting(self, gateway):
        serve(gateway, redacts_requests=True)
        gateway.service.says = (200, {"x-decision-id": "d-1", "x-governance-redact": "card,email"}, b"")

    def sent(self, gateway, body, content_type: str | None = "application/json", path: str = "/", **headers: str):
        """What the app read, or the status and code that the caller heard instead."""
        more = headers if content_type is None else {"content_type": content_type, **headers}
        answer = gateway.call("POST", path, content=body, **more)
        if gateway.upstream.calls:
            return gateway.upstream.calls[-1]
        return answer.status_code, answer.json()["code"]

    def test_what_is_to_be_cut_out_does_not_arrive_and_the_rest_is_as_it_was(self, gateway):
        body = {
            "to": f"x {MAIL}",
            "deep": [{"n": 4111111111111111, MAIL: 1}],
            "phone": "+49 30 901820",
            "ok": [1, None, "é"],
        }
        read = json.loads(self.sent(gateway, json.dumps(body))["body"].encode("latin-1"))
        assert read == {
            "to": "x [email]", "deep": [{"n": "[card]", "[email]": 1}], "phone": "+49 30 901820", "ok": [1, None, "é"],
        }  # fmt: skip

    def test_the_service_hears_who_carries_it_out_and_the_app_hears_of_none_of_it(self, gateway):
        read = self.sent(gateway, b"{}", x_governance_carries="mask", x_governance_redact="none")
        (asked,) = gateway.service.calls
        assert asked["headers"]["x-governance-carries"] == "redact"
        assert not [name for name in read["headers"] if name.startswith("x-governance")]

    @pytest.mark.parametrize(
        "query",
        [
            f"mail={MAIL}",
            "mail=bob%40example.com",
            "mail=%62ob%40example%2ecom",
            "a=1&card=4111+1111+1111+1111;b=2",
            "card=%34111111111111111",
        ],
    )
    def test_the_query_is_looked_into_as_an_app_reads_it(self, gateway, query):
        path = self.sent(gateway, b"{}", path=f"/a?{query}")["path"]
        assert ("%5Bemail%5D" in path) or ("%5Bcard%5D" in path)
        assert not [piece for piece in ("bob", "example", "1111") if piece in path]

    def test_a_form_is_looked_into_as_an_app_reads_it(self, gateway):
        read = self.sent(
            gateway, b"mail=bob%40example.com&n=4111+1111+1111+1111&ok=a%20b+c", "application/x-www-form-urlencoded"
        )
        assert read["body"] == "mail=%5Bemail%5D&n=%5Bcard%5D&ok=a%20b+c"

    def test_a_plain_text_is_looked_into(self, gateway):
        assert self.sent(gateway, f"mail {MAIL}.".encode(), "text/plain; charset=utf-8")["body"] == "mail [email]."

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded+json", "text/x;a=b +json"]
    )
    def test_json_is_looked_into_whatever_it_is_called(self, gateway, content_type):
        body = self.sent(gateway, b'{"a": "bob\\u0040example.com"}', content_type)["body"]
        assert json.loads(body) == {"a": "[email]"}

    @pytest.mark.parametrize("content_type", ["text/plain", "text/json", "application/json"])
    def test_a_mark_of_utf_8_hides_no_json(self, gateway, content_type):
        body = self.sent(gateway, b'\xef\xbb\xbf {"a": "bob\\u0040example.com"}', content_type)["body"]
        assert body == '\xef\xbb\xbf {"a": "[email]"}'

    def test_chunks_are_one_body(self, gateway):
        pieces = iter([b'{"a": "bob@exam', b'ple.com"', b"}"])
        read = self.sent(gateway, pieces)
        assert (json.loads(read["body"]), read["headers"]["content-length"]) == (
            {"a": "[email]"},
            str(len(read["body"])),
        )

    def test_a_value_in_the_path_is_refused(self, gateway):
        for path in (f"/users/{MAIL}", "/users/bob%40example.com", "/a;mail=bob@example.com/b"):
            assert self.sent(gateway, b"{}", path=path) == (400, "value_in_path")

    @pytest.mark.parametrize(
        ("body", "content_type", "headers"),
        [
            (gzip.compress(b'{"a": "bob@example.com"}', mtime=0), "application/json", {"content_encoding": "gzip"}),
            (b'{"a": "bob@example.com"}', "application/json", {"content_encoding": "br"}),
            (b"bob@example.com", "image/png", {}),
            (b"bob@example.com", "application/octet-stream", {}),
            (b"bob@example.com", "multipart/form-data; boundary=x", {}),
            ("bob@example.com".encode("utf-16"), "text/plain; charset=utf-16", {}),
            (b"bob+AEA-example.com", "text/plain; charset=utf-7", {}),
            (b"bob@example.com", None, {}),
            (b'{"a": "bob\\u0040example.com"}', "application/xml +json", {}),
            (b'{"a": "bob\\u0040example.com"}', "application/x-www-form-urlencoded +json", {}),
            (b'{"a": "bob\\u0040example.com"}', "text/plain, application/json", {}),
            (b"<a>bob&#64;example.com</a>", "application/xml", {}),
            (b"<a>bob@ex<!-- -->ample.com</a>", "application/soap+xml", {}),
            *[('{"a": "bob@example.com"}'.encode(code), "application/json", {}) for code in WIDE],
            *[("bob@example.com".encode(code), "text/csv", {}) for code in WIDE],
            ("mail=bob@example.com".encode("utf-16-le"), "application/x-www-form-urlencoded", {}),
            (b"\xff\xfe bob@example.com", "application/json", {}),
        ],
    )
    def test_what_cannot_be_looked_into_does_not_arrive(self, gateway, body, content_type, headers):
        assert self.sent(gateway, body, content_type, **headers) == (415, "request_not_readable")

    @pytest.mark.parametrize(
        "body",
        [
            b'{"a": "1", "a": "bob@example.com"}', b'{"a": "bob@example.com', b"\xff bob@example.com \xfe",
            b"[" * 5000 + b'"bob@example.com"',
            b'{"a": "bob\\u0040example.com"}',
        ],
    )  # fmt: skip
    def test_broken_and_deep_bodies_are_looked_into_all_the_same(self, gateway, body):
        """The decision refuses them where a schema is declared; here it said yes."""
        read = self.sent(gateway, body)
        assert "bob" not in read["body"]
        assert "[email]" in read["body"]

    def test_no_type_takes_the_gateway_s_time(self, gateway):
        """As long as a header may be; going over the blanks again from each of them costs more than a second a call."""
        before = cpu_seconds(gateway.envoy.pid)
        for _ in range(3):
            assert self.sent(gateway, b"x", "text/plain" + " " * 30_000 + "x") == (415, "request_not_readable")
        assert cpu_seconds(gateway.envoy.pid) - before < 1

    def test_a_kind_that_the_gateway_cannot_cut_out_stops_the_request(self, gateway):
        gateway.service.says = (200, {"x-governance-redact": "email,passport"}, b"")
        assert self.sent(gateway, b"{}") == (503, "redaction_not_known")

    def test_a_yes_without_it_changes_nothing(self, gateway):
        gateway.service.says = (200, {}, b"")
        assert self.sent(gateway, MAIL.encode(), "image/png", path=f"/{MAIL}?{MAIL}")["body"] == MAIL

    def test_a_body_that_does_not_end_or_is_too_large_does_not_arrive(self, gateway):
        serve(gateway, redacts_requests=True, limits=Limits(request_bytes=100))
        assert gateway.call("POST", content=b"x" * 101, content_type="text/plain").status_code == 413
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=1) as connection:
            connection.sendall(
                f"POST / HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {presented('ab')}\r\ncontent-length: 9\r\n\r\nbob".encode()
            )
            with pytest.raises(TimeoutError):
                connection.recv(1)
        assert not gateway.upstream.calls

    def test_an_app_whose_requests_are_not_cut_does_not_say_that_they_are(self, gateway):
        serve(gateway)
        self.sent(gateway, b"{}")
        assert "x-governance-carries" not in gateway.service.calls[0]["headers"]


class TestAnswers:
    @pytest.fixture(autouse=True)
    def _holding(self, gateway):
        serve(gateway, holds_answers=True, redact=("email",))

    def no(self, gateway, status: int = 403, body: bytes = b'{"effect":"deny","reason":"GW-006"}') -> None:
        """The service lets the request in and refuses its answer."""
        outer = gateway.service

        class Says:
            def __iter__(self):
                is_about_answer = outer.calls[-1]["path"] == "/app-answers"
                found = (
                    (status, {"x-decision-id": "d-2"}, body)
                    if is_about_answer
                    else (200, {"x-decision-id": "d-1"}, b"")
                )
                return iter(found)

        outer.says = Says()

    def test_an_answer_leaves_after_it_was_decided_on_as_the_app_said_it(self, gateway):
        gateway.upstream.says = (201, {"content-type": "application/json", "x-own": "1"}, b'{"to": "bob@example.com"}')
        trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
        answer = gateway.call("POST", "/menu?day=1", content=b"{}", traceparent=trace)
        assert (answer.status_code, answer.json(), answer.headers["x-own"]) == (201, {"to": "[email]"}, "1")
        about = gateway.service.calls[-1]
        assert (about["method"], about["path"], about["body"]) == ("POST", "/app-answers", '{"to": "bob@example.com"}')
        said = {name: about["headers"].get(name) for name in (
            "x-api-key", "x-app", "x-subject", "x-role", "x-tenant", "x-region", "x-asked-method", "x-asked-path",
            "x-answer-status", "x-answer-type", "traceparent",
        )}  # fmt: skip
        assert said == {
            "x-api-key": SERVICE_KEY, "x-app": "lunch", "x-subject": "key:ab", "x-role": "service", "x-tenant": "marketing",
            "x-region": "eu", "x-asked-method": "POST", "x-asked-path": "/menu?day=1", "x-answer-status": "201",
            "x-answer-type": "application/json", "traceparent": trace,
        }  # fmt: skip

    def test_an_answer_that_is_refused_stays_and_none_of_its_headers_leaves(self, gateway):
        self.no(gateway)
        said = {
            "content-type": "application/json",
            "set-cookie": "bob",
            "x-salary": "52000",
            "location": "/bob",
            "etag": "bob",
        }
        gateway.upstream.says = (200, said, b'{"salary": 52000}')
        answer = gateway.get()
        assert (answer.status_code, answer.json()) == (502, {"effect": "deny", "reason": "GW-006"})
        assert answer.headers["x-decision-id"] == "d-2"
        assert not [value for value in answer.headers.values() if "bob" in value or "52000" in value]
        assert answer.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize(
        ("status", "body"), [(500, b""), (503, b"x"), (302, b""), (204, b""), (201, b"{}"), (429, b"{}")]
    )
    def test_whatever_is_no_yes_is_a_no(self, gateway, status, body):
        self.no(gateway, status, body)
        gateway.upstream.says = (200, {"content-type": "text/plain"}, b"secret")
        answer = gateway.get()
        assert answer.status_code == 502
        assert "secret" not in answer.text

    def test_what_has_no_body_is_asked_about_too(self, gateway):
        gateway.upstream.says = (204, {}, b"")
        assert gateway.get().status_code == 204
        assert gateway.service.calls[-1]["headers"]["x-answer-status"] == "204"
        self.no(gateway)
        refused = gateway.get()
        assert (refused.status_code, refused.json()["effect"]) == (502, "deny")

    def test_parts_encodings_and_answers_that_the_caller_has_already_are_not_asked_for(self, gateway):
        wanted = {
            "range": "bytes=0-3",
            "accept_encoding": "gzip",
            "if_none_match": '"a"',
            "if_modified_since": "Wed, 25 Nov 2026",
        }
        heard = gateway.get(**wanted).json()["headers"]
        assert not {name.replace("_", "-") for name in wanted} & set(heard)

    def test_types_and_encodings_are_told_as_they_are_and_twice_is_no_type(self, gateway):
        gateway.upstream.says = (
            200,
            {"content-type": "application/json", "content-encoding": "gzip"},
            gzip.compress(b"{}", mtime=0),
        )
        gateway.get()
        about = gateway.service.calls[-1]["headers"]
        assert (about["x-answer-type"], about["x-answer-encoding"]) == ("application/json", "gzip")

    def test_an_answer_that_is_too_large_to_be_held_does_not_leave(self, gateway):
        gateway.upstream.says = (200, {"content-type": "application/json"}, b'"' + b"a" * 3_000_000 + b'"')
        answer = gateway.get()
        assert answer.status_code >= 500
        assert "aaaa" not in answer.text

    def test_no_answer_of_the_service_holds_it_back(self, gateway):
        def held_back() -> tuple[int, str]:
            gateway.upstream.says = (200, {"content-type": "application/json"}, b'{"a": "secret"}')
            answer = gateway.get()
            assert "secret" not in answer.text
            return answer.status_code, answer.json()["code"]

        service = gateway.service
        late = Upstream("late")
        try:
            # Asked about the request by one that answers, about the answer by none.
            serve(gateway, late.endpoint, 300, holds_answers=True)
            late.says = _Late(late)
            assert held_back() == (502, "answer_not_decided")
        finally:
            late.stop()
        gateway.service = service

    def test_what_the_gateway_says_for_an_app_that_is_away_is_not_asked_about(self, gateway):
        away = (Backend("stable", (Endpoint("127.0.0.1", free_port()),)),)
        serve(gateway, holds_answers=True, backends=away)
        assert gateway.get().status_code == 503
        assert [call["path"] for call in gateway.service.calls] == ["/ext-authz/"]

    def test_a_refused_request_is_not_asked_about_again(self, gateway):
        gateway.service.says = (403, {"x-decision-id": "d-9"}, b"{}")
        assert gateway.get().status_code == 403
        assert gateway.get(key_id="").status_code == 401
        assert [call["path"] for call in gateway.service.calls] == ["/ext-authz/"]

    def test_a_new_key_of_the_service_changes_no_listener(self, gateway):
        service = DecisionService(gateway.service.endpoint, "gk_78_other")
        applied = gateway.apply(gateway.app(asks=True, holds_answers=True), service=service)
        assert ANSWERING in applied.files
        assert "listeners.json" not in applied.files
        gateway.get()
        assert gateway.service.calls[-1]["headers"]["x-api-key"] == "gk_78_other"

    def test_without_a_service_such_an_app_is_refused(self, gateway):
        with pytest.raises(GatewayRefusal, match="asks the decision service"):
            check(gateway.state(gateway.app(holds_answers=True)))

    def test_an_app_that_may_answer_before_the_request_ended_is_refused_where_its_answers_are_held(self, gateway):
        early = gateway.app(holds_answers=True, asks=False)
        early = early._replace(limits=early.limits._replace(request_bytes=0))
        with pytest.raises(GatewayRefusal, match="has not ended"):
            check(gateway.state(early, service=DecisionService(gateway.service.endpoint, SERVICE_KEY)))


class _Late:
    """Says yes to requests at once, and to answers after the gateway's patience."""

    def __init__(self, service: Upstream) -> None:
        self._service = service

    def __iter__(self):
        if self._service.calls[-1]["path"] == "/app-answers":
            time.sleep(1)
        return iter((200, {"x-decision-id": "d-1"}, b""))
