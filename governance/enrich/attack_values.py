"""Values that the core rule set's first paranoia level would pass over, in places where it looks.

They stand in the path, in headers of an app's own, and in JSON that calls itself text. The rules look at arguments, cookies
and a few headers; `/orders/1;by=x` and `x-customer: x` are arguments of an app just as well, so each is handed over as one
more argument. What can hold no attack (a word, a number, an id) is not, since every argument costs every pattern.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Letters, digits, underscores, dots, colons and single hyphens: `1--` would be a comment.
_HARMLESS = re.compile(rb"(?:[A-Za-z0-9_.:]|-(?!-))*")
# Of the protocol, with a grammar of their own (RFC 9110, Fetch, Client Hints, Trace Context); the set looks at those of them
# that apps write down: Referer, User-Agent, Cookie.
_STANDARD = frozenset(
    {
        "accept", "alt-used", "authorization", "baggage", "cache-control", "connection", "content-disposition",
        "content-encoding", "content-language", "content-length", "content-type", "cookie", "date", "digest", "dnt", "etag",
        "expect", "forwarded", "host", "idempotency-key", "keep-alive", "link", "origin", "pragma", "prefer", "priority",
        "proxy-authorization", "range", "referer", "save-data", "te", "trailer", "transfer-encoding", "upgrade",
        "upgrade-insecure-requests", "user-agent", "via",
    }
)  # fmt: skip
_STANDARD_STARTS = ("accept-", "access-control-", "content-security-", "if-", "sec-")
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]*=*")  # token68 of RFC 9110
_TEXT = re.compile(r"\s*text/(?:plain|csv)\s*(?:;|$)", re.IGNORECASE)
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


def with_arguments(target: str, headers: Mapping[str, str]) -> str:
    """The target, its query preceded by the path's and the headers' values. Names of headers in lower case."""
    path, mark, query = target.partition("?")
    found = [*_of_path(path), *_of_headers(headers)]
    if not found:
        return target
    more = "&".join(f"{quote(name.encode('latin-1'), safe='')}={quote(value, safe='')}" for name, value in found)
    # Before the query: whatever stands in that cannot end it early.
    return f"{path}?{more}&{query}" if mark else f"{path}?{more}"


def as_read(headers: Mapping[str, str], body: bytes) -> tuple[str, bytes]:
    """Type and body to look at where the body calls itself text: JSON as JSON, other text as one argument."""
    kind = headers.get("content-type", "")
    if not body or not _TEXT.match(kind):
        return kind, body
    if body.lstrip().startswith((b"{", b"[")) and _is_json(body):
        return _JSON, body
    return _FORM, b"text=" + body.replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2B")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except RecursionError:
        return True  # too deep is for the library to say
    except ValueError:
        return False
    return True


def _of_path(path: str) -> list[tuple[str, bytes]]:
    """Segments, their parameters (RFC 3986, 3.3) under their own names, and the whole where one of them could tell."""
    found = [pair for segment in path.split("/") for pair in _of_segment(segment)]
    return [*found, ("path", _decoded(path))] if found else []


def _of_segment(segment: str) -> Iterator[tuple[str, bytes]]:
    first, *parameters = segment.split(";")
    for name, value in [("path", first), *((one.partition("=")[0], one.partition("=")[2]) for one in parameters)]:
        if not (_HARMLESS.fullmatch(_decoded(name)) and _HARMLESS.fullmatch(_decoded(value))):
            yield _decoded(name).decode("latin-1"), _decoded(value)


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text.encode("latin-1", "replace"))


def _of_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, value in headers.items():
        raw = value.encode("latin-1", "replace")
        if name == "authorization":
            raw = _credentials(raw)
        elif name in _STANDARD or name.startswith(_STANDARD_STARTS) or _HARMLESS.fullmatch(raw):
            continue
        if raw:
            yield f"header.{name}", raw


def _credentials(raw: bytes) -> bytes:
    """Name and password of Basic (RFC 7617), or what is no token at all; a token itself holds nothing to look at."""
    scheme, _, rest = raw.partition(b" ")
    rest = rest.strip()
    if not _TOKEN.fullmatch(rest):
        return rest
    return base64.b64decode(rest + b"==", validate=False) if scheme.lower() == b"basic" else b""
