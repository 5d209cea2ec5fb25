"""Fact `url`: an address parsed once, strictly, so that rules compare parts and never match text.

Two programs that parse one address differently are how allow lists are walked around. So what is not a plain
`scheme://host[:port]/path` in the form every parser agrees on is `valid: false`, and a rule refuses it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.model.request import Json, Request

_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<userinfo>[^/?#@\\\[\]]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@\\\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#\\]*)?(?:\?(?P<query>[^#\\]*))?(?:\#[^\\]*)?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Everything an inet_aton-style parser takes for an address: decimal, octal, hexadecimal, with fewer than four parts.
_NUMERIC_HOST = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}\.?")
_INVALID: Json = {"valid": False}
# What tells one part of an address from the next.
_STRUCTURE = "./\\%?#;:@"
# The only part of IPv6 that is given to hosts of the public internet (RFC 4291, section 2.4; IANA's registry of the space).
# Beside it lie, among others, forms that stand for an IPv4 address (`::127.0.0.1`, `::ffff:0:127.0.0.1`) and site-local ones.
_GLOBAL_UNICAST = "2000::/3"


class UrlFacts:
    """Fact `url` for connector calls and data flows."""

    name = "url"

    def facts(self, request: Request) -> dict[str, Json]:
        """Nothing where no address is named."""
        url = None
        if request.kind == "connector_call":
            url = request.resource.get("url")
        elif request.kind == "data_flow":
            destination = request.resource.get("destination")
            url = destination.get("url") if isinstance(destination, dict) else None
        return {} if url is None else {"url": parsed_url(url)}


def parsed_url(url: Json) -> Json:
    """`{valid, scheme, host, port, path, has_userinfo, is_ip, is_private}`, or `{valid: false}`."""
    if not isinstance(url, str) or any(char <= " " or char == "\x7f" for char in url):
        return _INVALID
    found = _URL.fullmatch(url)
    if found is None:
        return _INVALID
    if found["path"] is None and "@" in url[found.end("host") :]:
        # `host#@other` and `host?@other`: parsers have gone to the other one.
        return _INVALID
    host, scheme = _host(found["host"]), found["scheme"].lower()
    path = _path(found["path"] or "/")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if host is None or path is None or not 0 < port < 65536:
        return _INVALID
    is_ip = _is_ip(host)
    return {
        "valid": True,
        "scheme": scheme,
        "host": host,
        "port": port,
        "path": path,
        "has_userinfo": found["userinfo"] is not None,
        "is_ip": is_ip,
        "is_private": is_private(host, is_ip=is_ip),
    }


def _host(raw: str) -> str | None:
    """The host in lower case, without a trailing dot; None where it is no host name or address.

    A name with other letters than ASCII has to come as `xn--…`: programs differ in how they turn one into the other.
    """
    host = raw.lower()
    if host.startswith("["):
        return host
    if not raw.isascii():
        return None
    host = host.removesuffix(".")
    if _NUMERIC_HOST.fullmatch(host):
        return host
    labels = host.split(".")
    return host if len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels) else None


def _path(raw: str) -> str | None:
    """The path with percent-encoding undone once; None where that, or `..`, could mean two things."""
    from urllib.parse import unquote

    try:
        path = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return None
    doubtful = "%" in path or "\\" in path or any(char < " " for char in path)
    if doubtful or any(part in {".", ".."} for part in path.split("/")) or "%2f" in raw.lower():
        return None
    return path if path.isascii() or _is_what_it_shows(path) else None


def _is_what_it_shows(path: str) -> bool:
    """Whether no letter stands for a sign of an address: servers that fold letters read wide full stops as a climbing path."""
    folded = unicodedata.normalize("NFKC", path)
    return all(folded.count(sign) == path.count(sign) for sign in _STRUCTURE)


def _is_ip(host: str) -> bool:
    return host.startswith("[") or _NUMERIC_HOST.fullmatch(host) is not None


def is_private(host: str, *, is_ip: bool) -> bool:
    """Whether the name or address is not one of the public internet; a number in a doubtful form counts as private."""
    if not is_ip:
        return (
            host == "localhost" or "." not in host or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))
        )
    import ipaddress

    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        # Gateways turn these into an IPv4 address that stands inside them (RFC 6052, RFC 8215, RFC 3056, RFC 4380).
        if address.sixtofour or address.teredo or address in ipaddress.ip_network("64:ff9b::/32"):
            return True
        if address.ipv4_mapped is None and address not in ipaddress.ip_network(_GLOBAL_UNICAST):
            return True
        address = address.ipv4_mapped or address
    return not address.is_global or address.is_multicast
