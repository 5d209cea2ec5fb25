"""What the core rule set is shown of a request, and what it then says; skipped where Debian's packages are missing."""

from __future__ import annotations

import os
import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.enrich.attack_values import as_read, with_arguments
from governance.enrich.attacks import Inspector
from governance.errors import DependencyError
from tests.conformance.business_requests import FORM, JSON, XML, form, harmless, hidden

LIMIT = 5
HEADERS = {"host": "lunch.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
latin = st.text(st.characters(max_codepoint=255), max_size=40)


@pytest.fixture(scope="module")
def inspector():
    made = Inspector(os.environ.get("CORE_RULES_ROOT", "/"))
    try:
        made.look("GET", "/", HEADERS, b"")
    except DependencyError as error:
        pytest.skip(f"apt-get install libmodsecurity3 modsecurity-crs: {error}")
    return made


@pytest.mark.parametrize("sent", list(hidden()), ids=lambda sent: sent.title)
def test_an_attack_counts_wherever_it_stands(inspector, sent):
    found = inspector.look(sent.method, sent.target, sent.all_headers, sent.body)
    assert found["score"] >= LIMIT, sent
    assert found["rules"]


def test_harmless_requests_are_harmless_but_for_the_ones_that_say_so(inspector):
    looked = [(sent, inspector.look(sent.method, sent.target, sent.all_headers, sent.body)) for sent in harmless()]
    otherwise = [
        (sent.title, found)
        for sent, found in looked
        if (found["score"] >= LIMIT) is not bool(sent.known) or (sent.known and sent.known not in found["rules"])
    ]
    assert len(looked) > 300
    assert otherwise == []


@pytest.mark.parametrize(
    ("target", "headers", "body"),
    [
        ("/" + "a'/" * 2001, {}, b""),
        ("/" + "a;b='" * 2001, {}, b""),
        ("/", XML, b"<a>" + b'<b c="d e"/>' * 2001 + b"</a>"),
        ("/", *form(*[('name="a"', b"1")] * 2001)),
        ("/", {"content-type": "text/plain"}, b"%" * 400_000),
    ],
    ids=["segments", "parameters", "attributes", "parts", "text that grows"],
)
def test_more_than_can_be_looked_at_in_good_time_is_not_looked_at(target, headers, body):
    with pytest.raises(DependencyError, match="more than"):
        Inspector("/").look("POST", target, {**HEADERS, **headers}, body)


@pytest.mark.parametrize("kind", [JSON, FORM])
def test_a_large_text_takes_no_pattern_back_over_itself(inspector, kind):
    """Eight times the text takes about eight times the CPU; it took sixty times, 3 s for 300 KiB."""
    took = []
    for size in (2_400, 19_200):
        value = b"it's a long way " * size
        body = b'{"a": "' + value + b'"}' if kind is JSON else b"a=" + value
        begun = time.process_time()
        assert inspector.look("POST", "/", {**HEADERS, **kind}, body)["score"] < LIMIT
        took.append(time.process_time() - begun)
    assert took[1] < 24 * took[0]


def test_basic_credentials_are_looked_into_and_tokens_left_alone(inspector):
    basic = {"authorization": "Basic eCcgT1IgJzEnPScxOng="}  # x' OR '1'='1:x
    assert inspector.look("GET", "/", {**HEADERS, **basic}, b"")["score"] >= LIMIT
    token = {"authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.ab--cd_e"}
    assert with_arguments("/", token) == "/"
    assert inspector.look("GET", "/", {**HEADERS, **token}, b"")["score"] < LIMIT


def test_what_can_hold_no_attack_costs_nothing():
    target = "/orders/6f9619ff-8b86-d011-b42d-00c04fc964ff;v=1.2/a:b?q='"
    assert with_arguments(target, {"x-request-id": "ab-12", "accept": "*/*; q='", "if-none-match": 'W/"a"'}) == target


@given(st.lists(latin, max_size=4), latin)
def test_every_telling_segment_and_header_is_an_argument_before_the_query(segments, value):
    """Nothing in them ends the query, hides another one, or is lost."""
    path = "".join("/" + "".join(f"%{ord(char):02X}" for char in segment) for segment in segments)
    made = with_arguments(f"{path}?last=1", {"x-own": value})
    found = parse_qsl(made.partition("?")[2], keep_blank_values=True, encoding="latin-1")
    assert found[-1] == ("last", "1")
    told = [text for name, text in found if name == "path"]
    assert all(segment in told for segment in segments if "'" in segment)
    assert ("header.x-own", value) in found or "'" not in value


@given(st.binary(max_size=60))
def test_text_is_one_argument_whatever_it_holds(body):
    kind, seen = as_read({"content-type": "text/plain"}, body)
    if kind == "application/json":
        assert seen == body
    elif body:
        found = parse_qsl(seen.decode("latin-1"), keep_blank_values=True, encoding="latin-1", separator="&")
        assert found == [("text", body.decode("latin-1"))]
