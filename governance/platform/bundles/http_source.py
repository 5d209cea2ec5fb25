"""Fetching from a bundle server as OPA does: ETag, 304, long poll, a bearer token from a file, and limits on all of it.

Source: https://www.openpolicyagent.org/docs/management-bundles#bundle-service-api
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from governance.platform.bundles.sources import LOOPBACK, FetchFailed

if TYPE_CHECKING:
    import httpx

    from governance.platform.bundles.sources import Terms

_LONG_POLL = "application/vnd.openpolicyagent.bundles"
_MOST_TOKEN_BYTES = 16_384


class Fetched(NamedTuple):
    """An answer of a source."""

    content: bytes | None
    """The archive; None where it is the one that was had before."""
    etag: str = ""
    revision: str = ""
    """What it is called, where that does not stand in the bundle itself (a commit)."""
    is_long_poll: bool = False
    """The server held the question open: ask again at once."""
    http_code: int = 0


def fetch_http(url: str, etag: str, terms: Terms, *, wait: bool) -> Fetched:
    """The archive at `url`, or that it is still the one with `etag`. Raises FetchFailed; takes bounded time and memory."""
    import httpx  # only where something is fetched

    if terms.token_file and url.startswith("http://") and urlsplit(url).hostname not in LOOPBACK:
        raise FetchFailed("a token is not sent over plain http", where=url, hint="use https")
    wait_s = terms.wait_s if wait else 0
    modes = f"modes=snapshot;wait={wait_s}" if wait_s else "modes=snapshot"
    headers = {"prefer": modes, "accept-encoding": "identity", **bearer(terms.token_file)}
    if etag:
        headers["if-none-match"] = etag
    deadline = time.monotonic() + terms.timeout_s + wait_s
    try:
        with (
            httpx.Client(timeout=httpx.Timeout(terms.timeout_s, read=terms.timeout_s + wait_s)) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            return _read(answer, url, terms.most_bytes, deadline)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(f"no answer: {type(error).__name__}", where=url) from error


def bearer(token_file: str) -> dict[str, str]:
    """The header for a token that stands in a file; none without one. Raises FetchFailed without quoting it."""
    if not token_file:
        return {}
    try:
        with open(token_file, encoding="ascii") as file:
            token = file.read(_MOST_TOKEN_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchFailed("the token cannot be read", where=token_file) from error
    if not token or not token.isprintable() or " " in token:
        raise FetchFailed("holds no token", where=token_file)
    return {"authorization": f"Bearer {token}"}


def _read(answer: httpx.Response, url: str, most: int, deadline: float) -> Fetched:
    is_long_poll = answer.headers.get("content-type", "").startswith(_LONG_POLL)
    if answer.status_code == 304:
        return Fetched(None, is_long_poll=is_long_poll, http_code=304)
    if answer.status_code != 200:
        # A redirect is not followed either: the token would go where nobody meant it to.
        raise FetchFailed(f"HTTP {answer.status_code}", where=url, http_code=answer.status_code)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise FetchFailed("is encoded once more, which was not asked for", where=url, http_code=200)
    pieces, size = [], 0
    for piece in answer.iter_raw():
        size += len(piece)
        if size > most:
            raise FetchFailed(
                f"more than {most} bytes", where=url, hint="GOVERNANCE_BUNDLE_MAX_BYTES sets the limit", http_code=200
            )
        if time.monotonic() > deadline:
            raise FetchFailed("too slow: the time was over before it was whole", where=url, http_code=200)
        pieces.append(piece)
    expected = answer.headers.get("content-length")
    if expected is not None and expected != str(size):
        raise FetchFailed(f"{size} bytes of {expected[:20]}", where=url, http_code=200)
    return Fetched(b"".join(pieces), answer.headers.get("etag", ""), "", is_long_poll, 200)
