"""Pages for people: rendered here, without a script, under a policy that lets nothing else in.

Templates lie in `pages/`; everything that is filled in is escaped. The style is part of each page and named by its digest in
the Content-Security-Policy, so a page is one request.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer

if TYPE_CHECKING:
    from jinja2 import Environment

    from governance.entrypoints.http.asgi import Headers

_FOLDER = Path(__file__).parent / "pages"


def page(name: str, status: int = 200, *, headers: Headers = (), **values: Any) -> Answer:
    """One page. Its forms lead nowhere but to this service."""
    text = _environment().get_template(f"{name}.html").render(style=_style(), **values)
    return Answer(status, text.encode("utf-8", "replace"), b"text/html; charset=utf-8", (*_guards(), *headers))


def elsewhere(address: str, headers: Headers = ()) -> Answer:
    """To another address, with a GET."""
    return Answer(303, b"", b"text/plain", ((b"location", address.encode("ascii")), *_guards(), *headers))


def _guards() -> Headers:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return (
        (b"content-security-policy", policy.encode("ascii")),
        (b"cache-control", b"no-store"),
        # An address of ours holds the state of a question; its query is nobody else's to know.
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-opener-policy", b"same-origin"),
    )


@cache
def _style() -> str:
    return (_FOLDER / "style.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only a worker that serves pages loads it

    return Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
