"""CloudEvents, read strictly, and exchanged with the specification's own SDK in both HTTP modes."""

from __future__ import annotations

import json
import string

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.errors import CallerError
from governance.platform.broker.events.message import (
    BadEvent,
    Event,
    binary_headers,
    from_binary,
    from_structured,
    structured,
)

# A loaded machine is no finding.
PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
GOOD = {"specversion": "1.0", "id": "1", "source": "/apps/a", "type": "com.example.a"}
# What `str.isprintable` accepts.
TEXT = st.text(st.characters(categories=("L", "M", "N", "P", "S"), include_characters=" "), min_size=1, max_size=40)
EVENTS = st.builds(
    Event,
    TEXT,
    st.text(string.ascii_letters + string.digits + "/-._~", min_size=1, max_size=30),
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXT, lambda inner: st.lists(inner, max_size=3)
    ),
    subject=st.just("") | TEXT,
    time=st.sampled_from(["", "2026-11-25T02:03:04Z", "2026-11-25T02:03:04.123456+01:00"]),
    extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{0,10}", fullmatch=True), TEXT, max_size=3),
)


@PATIENT
@given(EVENTS)
def test_an_event_is_the_same_after_either_mode(event):
    assert from_structured(json.loads(json.dumps(structured(event)))) == event
    headers = {name.encode(): value.encode("ascii") for name, value in binary_headers(event).items()}
    assert from_binary(headers, json.dumps(event.data).encode(), 1 << 20) == event


@PATIENT
@given(EVENTS)
def test_the_sdk_reads_what_we_write(event):
    theirs = from_http(
        HTTPMessage(dict(binary_headers(event)), json.dumps(event.data).encode()), JSONFormat(), CloudEvent
    )
    assert (theirs.get_id(), theirs.get_type(), theirs.get_subject() or "") == (event.id, event.type, event.subject)
    body = json.dumps(structured(event)).encode()
    whole = from_http(HTTPMessage({"content-type": "application/cloudevents+json"}, body), JSONFormat(), CloudEvent)
    assert (whole.get_id(), whole.get_source(), whole.get_data()) == (event.id, event.source, event.data)


def test_we_read_what_the_sdk_writes():
    theirs = CloudEvent(
        {
            "id": "é 1",
            "source": "/apps/a",
            "type": "com.example.a",
            "datacontenttype": "application/json",
            "partitionkey": "k",
        },
        {"n": 1},
    )
    whole = to_structured(theirs, JSONFormat())
    read = from_structured(json.loads(whole.body))
    assert (read.id, read.data, read.ordering) == ("é 1", {"n": 1}, "k")
    parts = to_binary(theirs, JSONFormat())
    headers = {name.lower().encode(): value.encode() for name, value in parts.headers.items()}
    assert from_binary(headers, parts.body, 1 << 20)[:4] == read[:4]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": None}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 1}, "/id"),
        ({"id": None}, "/id"),
        ({"id": "a\nb"}, "/id"),
        ({"id": "x" * 1025}, "/id"),
        ({"source": "a b"}, "/source"),
        ({"source": "http://[::1"}, "/source"),
        ({"type": ""}, "/type"),
        ({"time": "2026-11-25"}, "/time"),
        ({"time": "2026-13-25T00:00:00Z"}, "/time"),
        ({"dataschema": "relative"}, "/dataschema"),
        ({"Upper": "x"}, "/Upper"),
        ({"with-dash": "x"}, "/with-dash"),
        ({"x": 1.5}, "/x"),
        ({"x": 2**31}, "/x"),
        ({"x": {"a": 1}}, "/x"),
        ({"tenantid": "hr"}, "/tenantid"),
        ({"decisionid": "1"}, "/decisionid"),
        ({"data_base64": "AA=="}, "/data_base64"),
        ({"datacontenttype": "text/plain"}, "/datacontenttype"),
        ({"datacontenttype": "application/xml"}, "/datacontenttype"),
        ({f"x{n}": "1" for n in range(21)}, "/"),
        ({"ID": "2"}, "/ID"),
        ({"data_base64": None}, "/data_base64"),
        ({"data_base64": "", "data": {}}, "/data_base64"),
        ({"traceparent": "00-0-0-0", "tenantid": "hr"}, "/tenantid"),
        ({"x\u0131d": "1"}, "/x\u0131d"),
        ({"x": "a\u202eb"}, "/x"),
        ({"x": True, "y": 2**40}, "/y"),
        ({"type": ["com.example.a"]}, "/type"),
        ({"specversion": 1.0}, "/specversion"),
        ({"source": "/apps/a\r\nX: y"}, "/source"),
        ({"datacontenttype": "application/json, text/html"}, "/datacontenttype"),
        ({"datacontenttype": "multipart/mixed"}, "/datacontenttype"),
    ],
)
def test_what_is_no_event_is_refused_at_its_place(change, place):
    with pytest.raises(BadEvent) as caught:
        from_structured({**GOOD, **change})
    assert caught.value.where == place


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_an_event_is_an_object(document):
    with pytest.raises(BadEvent):
        from_structured(document)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({b"content-type": b"application/json"}, b"{}"),
        ({b"ce-id": b"%ff", b"content-type": b"application/json"}, b"{}"),
        ({b"ce-datacontenttype": b"application/json"}, b"{}"),
        ({b"content-type": b"text/plain"}, b"{}"),
        ({b"content-type": b"application/json"}, b"{"),
    ],
)
def test_a_message_that_is_no_event_is_refused(headers, body):
    good = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/a", b"ce-type": b"t"}
    named = good if b"content-type" in headers and headers[b"content-type"] != b"application/json" else {}
    named = good if body == b"{" else named
    with pytest.raises(CallerError):
        from_binary({**named, **headers}, body, 1 << 20)
