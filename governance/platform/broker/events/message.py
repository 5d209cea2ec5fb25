"""CloudEvents 1.0.2 (cloudevents.io): an event as JSON, and as an HTTP message in structured or binary mode.

Read strictly: what the specification leaves open to receivers is refused where it could mean two things. Only JSON data is
taken, since nothing else can be held against a schema or masked.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from governance.errors import CallerError
from governance.model.pointer import to_pointer
from governance.normalise.documents import decoded, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json

STRUCTURED = "application/cloudevents+json"
VERSION = "1.0"
# Of the specification's own extensions ("Partitioning", "Distributed Tracing"), and ours.
PARTITION_KEY, TRACE_PARENT = "partitionkey", "traceparent"
_OURS = frozenset({"tenantid", "decisionid", TRACE_PARENT})
_ATTRIBUTES = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
_NAME = re.compile(r"[a-z0-9]{1,20}")
_LONGEST, _MOST_EXTENSIONS = 1024, 20
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
# RFC 3339, which fromisoformat is laxer than.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


class BadEvent(CallerError):
    """Something that is no CloudEvent, or not one that is taken here."""

    code = "bad_event"


class Event(NamedTuple):
    """One event; optional attributes that are not set are empty."""

    id: str
    source: str
    """URI reference; together with `id` it names the event for good."""
    type: str
    data: Json = None
    subject: str = ""
    time: str = ""
    dataschema: str = ""
    extensions: Mapping[str, str | int | bool] = {}

    @property
    def ordering(self) -> str:
        """Events of one key reach a subscriber in the order of their publication; those without one as they come."""
        return str(self.extensions.get(PARTITION_KEY, ""))

    def attributes(self) -> dict[str, Json]:
        """The context attributes that are set, extensions included."""
        own = {name: getattr(self, name) for name in ("id", "source", "type", "subject", "time", "dataschema")}
        return {**{name: value for name, value in own.items() if value}, **self.extensions}


def structured(event: Event) -> dict[str, Json]:
    """The event in the JSON format; `data` stands there even where it is null."""
    kept = event.attributes()
    return {"specversion": VERSION, **kept, "datacontenttype": "application/json", "data": event.data}


def binary_headers(event: Event) -> dict[str, str]:
    """The headers of binary mode; the body is the data. Values are percent-encoded where HTTP could not carry them."""
    found = {f"ce-{name}": _encoded(value) for name, value in event.attributes().items()}
    return {"ce-specversion": VERSION, **found, "content-type": "application/json"}


def from_structured(document: Json, *, is_ours: bool = False) -> Event:
    """An event in the JSON format. `is_ours`: read back from the store, with the attributes that only we set."""
    if not isinstance(document, dict):
        raise BadEvent("an event is a JSON object", where="/")
    if "data_base64" in document:
        raise BadEvent("binary data cannot be looked into", where="/data_base64", hint="send JSON under data")
    attributes = {name: value for name, value in document.items() if name != "data" and value is not None}
    return _event(attributes, document.get("data"), is_ours=is_ours)


def from_binary(headers: Mapping[bytes, bytes], body: bytes, limit: int) -> Event:
    """An event in binary mode: `ce-…` headers around its data."""
    attributes: dict[str, Json] = {}
    for name, value in headers.items():
        if name.startswith(b"ce-"):
            attributes[name[3:].decode("latin-1")] = _decoded(value, name)
    if "datacontenttype" in attributes:
        raise BadEvent("stands in the header content-type", where="header ce-datacontenttype")
    attributes["datacontenttype"] = headers.get(b"content-type", b"").decode("latin-1")
    data = read_json(decoded(body, "body", limit), "body") if body else None
    return _event(attributes, data)


def _event(attributes: dict[str, Json], data: Json, *, is_ours: bool = False) -> Event:
    if attributes.pop("specversion", None) != VERSION:
        raise BadEvent(f"has to be {VERSION!r}", where="/specversion")
    for name in ("id", "source", "type"):
        if name not in attributes:
            raise BadEvent("every event has one", where=f"/{name}")
    for name, value in attributes.items():
        _check(name, value)
    _check_json(str(attributes.pop("datacontenttype", "application/json")))
    extensions = {name: value for name, value in attributes.items() if name not in _ATTRIBUTES}
    taken = sorted(_OURS & set(extensions)) if not is_ours else []
    if taken and taken != [TRACE_PARENT]:
        raise BadEvent("is set by the exchange alone", where=to_pointer([taken[0]]))
    if len(extensions) > _MOST_EXTENSIONS:
        raise BadEvent(f"has more than {_MOST_EXTENSIONS} extensions", where="/")
    known = {name: attributes[name] for name in ("subject", "time", "dataschema") if name in attributes}
    return Event(attributes["id"], attributes["source"], attributes["type"], data, **known, extensions=extensions)


def _check(name: str, value: Json) -> None:
    where = to_pointer([name])
    if not _NAME.fullmatch(name) or name == "data":
        raise BadEvent("a name of an attribute has 1 to 20 lower-case letters and digits", where=where)
    if name in _ATTRIBUTES and not (isinstance(value, str) and value):
        raise BadEvent("has to be text that is not empty", where=where)
    if not isinstance(value, str | int) or (not isinstance(value, str) and not _SMALLEST <= value <= _LARGEST):
        raise BadEvent("has to be text, a whole number of 32 bits, or true or false", where=where)
    if isinstance(value, str) and (len(value) > _LONGEST or not value.isprintable()):
        raise BadEvent(f"has more than {_LONGEST} characters, or some that cannot be printed", where=where)
    if name == "time" and not _is_time(str(value)):
        raise BadEvent("is no RFC 3339 time", where=where)
    if name in {"source", "dataschema"} and not _is_reference(str(value), is_absolute=name == "dataschema"):
        raise BadEvent("is no URI", where=where)


def _check_json(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise BadEvent(f"data of the type {kind[:60]!r} is not taken", where="/datacontenttype", hint="send JSON")


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def _is_reference(text: str, *, is_absolute: bool) -> bool:
    if any(letter in text for letter in ' "<>\\^`{|}') or not text.isascii():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return not is_absolute or bool(parts.scheme)


def _encoded(value: Json) -> str:
    """HTTP binding, section 3.1.3.2: space, quote, percent and everything beyond printable ASCII."""
    if isinstance(value, bool):
        return "true" if value else "false"
    printable = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
    return quote(str(value), safe=printable)


def _decoded(value: bytes, name: bytes) -> str:
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEvent("is no UTF-8", where=f"header {name.decode('latin-1')}") from error
