"""`uri.parse` and `uri.is_valid`: addresses as Go's net/url reads them, which is what OPA stands on (RFC 3986, leniently)."""

from __future__ import annotations

import re
from typing import NamedTuple

from governance.policy.builtins.operands import BuiltinError

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_IN_HOST = _UNRESERVED | frozenset("!$&'()*+,;=:[]<>\"")
_IN_PATH = _UNRESERVED | frozenset("$&+,/:;=@")
_IN_USERINFO = _UNRESERVED | frozenset(":!$&'()*+,;=%@")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HEX = frozenset("0123456789abcdefABCDEF")


class _Uri(NamedTuple):
    scheme: str = ""
    host: str = ""
    path: str = ""
    raw_path: str = ""
    raw_query: str = ""
    fragment: str = ""


def parse(text: str) -> dict[str, str]:
    """`{scheme, hostname, port, path, raw_path, raw_query, fragment}`, without those that are empty."""
    try:
        found = _parsed(text)
    except ValueError as error:
        raise BuiltinError(f"uri.parse: parse {text[:60]!r}: {error}") from None
    members = {
        "scheme": found.scheme,
        "hostname": _hostname(found.host),
        "port": _port(found.host),
        "path": found.path,
        "raw_path": found.raw_path or found.path,
        "raw_query": found.raw_query,
        "fragment": found.fragment,
    }
    return {name: value for name, value in members.items() if value}


def is_valid(text: object) -> bool:
    """Whether `parse` has an answer that is not empty."""
    if not isinstance(text, str) or not text:
        return False
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def _parsed(text: str) -> _Uri:
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError("invalid control character in URL")
    rest, _, fragment = text.partition("#")
    uri = _without_fragment(rest)
    return uri._replace(fragment=_unescaped(fragment))


def _without_fragment(text: str) -> _Uri:
    if text == "*":
        return _Uri(path="*")
    scheme, rest = _scheme(text)
    if rest.endswith("?") and rest.count("?") == 1:
        rest, query = rest[:-1], ""
    else:
        rest, _, query = rest.partition("?")
    uri = _Uri(scheme=scheme.lower(), raw_query=query)
    if not rest.startswith("/"):
        if scheme:
            return uri  # opaque: mailto:…
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        uri, rest = uri._replace(host=_authority(authority)), slash + path
    path = _unescaped(rest)
    return uri._replace(path=path, raw_path="" if _escaped(path) == rest else rest)


def _scheme(text: str) -> tuple[str, str]:
    head, colon, rest = text.partition(":")
    if colon and not head:
        raise ValueError("missing protocol scheme")
    return (head, rest) if colon and _SCHEME.fullmatch(head) else ("", text)


def _authority(text: str) -> str:
    userinfo, at, host = text.rpartition("@")
    if at and not set(userinfo) <= _IN_USERINFO:
        raise ValueError("net/url: invalid userinfo")
    _unescaped(userinfo)
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise ValueError("missing ']' in host")
        _check_port(host[end + 1 :])
        _check_literal(host[1:end])
        zone = host.find("%25")
        if 0 <= zone < end:
            return host[:zone] + _unescaped(host[zone:])
    elif ":" in host:
        _check_port(host[host.rfind(":") :])
    return _host(host)


def _check_literal(text: str) -> None:
    import ipaddress

    ipaddress.IPv6Address(text.partition("%25")[0])


def _check_port(text: str) -> None:
    if text and not (text[0] == ":" and (text[1:] == "" or (text[1:].isascii() and text[1:].isdigit()))):
        raise ValueError(f"invalid port {text!r} after host")


def _host(text: str) -> str:
    for index, char in enumerate(text):
        if char == "%":
            escape = text[index : index + 3]
            if len(escape) < 3 or not set(escape[1:]) <= _HEX or (int(escape[1], 16) < 8 and escape != "%25"):
                raise ValueError(f"invalid URL escape {escape!r}")
        elif char.isascii() and char not in _IN_HOST:
            raise ValueError(f"invalid character {char!r} in host name")
    return _unescaped(text)


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    raw = bytearray()
    at = 0
    while at < len(text):
        if text[at] == "%":
            digits = text[at + 1 : at + 3]
            if len(digits) < 2 or not set(digits) <= _HEX:
                raise ValueError(f"invalid URL escape {text[at : at + 3]!r}")
            raw.append(int(digits, 16))
            at += 3
        else:
            raw += text[at].encode("utf-8", "surrogatepass")
            at += 1
    return raw.decode("utf-8", "replace")


def _escaped(path: str) -> str:
    raw = path.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if chr(byte) in _IN_PATH else f"%{byte:02X}" for byte in raw)


def _hostname(host: str) -> str:
    if ":" not in host:
        return host
    end = host.find("]")
    return host[:end].removeprefix("[") if end >= 0 else host.partition(":")[0]


def _port(host: str) -> str:
    if ":" not in host:
        return ""
    literal, end, port = host.partition("]:")
    if end:
        return port
    return "" if "]" in literal else host.partition(":")[2]


BUILTINS = {"uri.parse": parse, "uri.is_valid": is_valid}
