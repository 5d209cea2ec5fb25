"""E-mail and network addresses, wallets, places and travel documents: what has a form of its own."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii import checksums
from governance.enrich.pii.matching import Hit, matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher, Surface

_LOCAL = rb"[A-Za-z0-9\xaa\xb5\xba\xc0-\xff!#$%&'*+/=?^_`{|}~.-]"
_HOST = rb"[A-Za-z0-9\xaa\xb5\xba\xc0-\xff.-]"
_EMAIL = rb"(" + _LOCAL + rb"+)@(" + _HOST + rb"+)"
_AT = rb"[ ]{0,2}[\[({<][ ]{0,2}(?i:at|@|arroba|\xe4t)[ ]{0,2}[\])}>][ ]{0,2}"
_DOT = rb"[ ]{0,2}[\[({<][ ]{0,2}(?i:dot|punkt|point|punto|\.)[ ]{0,2}[\])}>][ ]{0,2}"
_WORD = rb"[A-Za-z0-9_+-]+"
_LABEL_ = rb"[A-Za-z0-9-]+"
# Hidden signs, hidden dots, both as bare words, or spaces around them.
_SPELLED = b"|".join((
    _WORD + rb"(?:(?:\.|" + _DOT + rb")" + _WORD + rb")*" + _AT + _LABEL_ + rb"(?:(?:\.|" + _DOT + rb")" + _LABEL_ + rb")+",
    rb"[A-Za-z0-9_.+-]+(?:@|" + _AT + rb")" + _LABEL_ + rb"(?:" + _DOT + _LABEL_ + rb")+",
    rb"[A-Za-z0-9_.+-]+ (?i:at) " + _LABEL_ + rb"(?: (?i:dot) " + _LABEL_ + rb")+",
    rb"[A-Za-z0-9_.+-]+ ?@ ?" + _LABEL_ + rb"(?: ?\. ?" + _LABEL_ + rb")+",
))  # fmt: skip
# What makes the longer search for spelled addresses worth it.
_SPELLED_SIGN = (
    rb"[\[({<][ ]{0,2}(?i:at|@|arroba|\xe4t|dot|punkt|point|punto|\.)[ ]{0,2}[\])}>]| (?i:at) [A-Za-z0-9-]+ (?i:dot) | @|@ "
    rb"|@[A-Za-z0-9-]+ ?\. | \.[a-z]"
)
_IPV4 = rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_IPV6 = rb"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*"
_MAC = (
    rb"[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
)
_WALLET = (
    rb"([13][1-9A-HJ-NP-Za-km-z]{25,34})|((?:bc|tb)1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71})"
    rb"|(0x[0-9a-fA-F]{40})"
)
_GEO = rb"([-+]?\d{1,2}\.\d{3,})[ ]{0,2}[,;/ ][ ]{0,2}([-+]?\d{1,3}\.\d{3,})"
_MRZ = rb"[A-Z0-9<]{30,44}"
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")


# The forms that most requests hold none of: one search for all of them says whether each is looked for.
_ALONE = rb"(?:^|[^A-Za-z0-9])(?:"
FORMS = (_IPV4, _IPV6, _MAC, _ALONE + _WALLET + b")", _GEO, _MRZ)


@lru_cache(maxsize=1)
def _patterns() -> dict[str, Matcher]:
    named = {
        "spelled_sign": _SPELLED_SIGN,
        "email": _EMAIL, "spelled": _SPELLED, "ipv4": _IPV4, "ipv6": _IPV6, "mac": _MAC, "wallet": _WALLET, "geo": _GEO,
        "mrz": _MRZ,
    }  # fmt: skip
    return {name: matcher(pattern) for name, pattern in named.items()}


def emails(surface: Surface) -> Iterator[Hit]:
    """Addresses as they are written, and as they are spelled to hide them (`ada (at) example (dot) com`)."""
    if b"@" in surface.data:
        for found in _patterns()["email"].finditer(surface.data):
            surface.work.spend(40)
            hit = _email(surface, found.start(), found.start(2), found.end())
            if hit is not None:
                yield hit
    if _patterns()["spelled_sign"].search(surface.data) is not None:
        yield from _spelled(surface)


def _email(surface: Surface, start: int, host_start: int, end: int) -> Hit | None:
    local = surface.text(max(start, host_start - 65), host_start - 1)
    # Signs that are legal in a local part, but that stand before one far more often.
    kept = re.split(r"[/=?&'\"`{}|!#$*^%]", local)[-1].lstrip(".-")
    host = surface.text(host_start, min(end, host_start + 254)).rstrip(".-")
    labels = host.split(".")
    if not kept or len(kept) > 64 or kept.endswith(".") or len(labels) < 2 or not labels[-1][:1].isalpha():
        return None
    if len(labels[-1]) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    first = host_start - 1 - len(kept)
    _, is_address, authority = surface.data[max(0, first - 40) : first].rpartition(b"://")
    if is_address and b"/" not in authority and surface.data[first - 1 : first] in {b":", b"/"}:
        return None  # the user part of an address: `secrets` has it
    return Hit(first, host_start + len(host), "EMAIL_ADDRESS", 0.95, "form")


def _spelled(surface: Surface) -> Iterator[Hit]:
    for found in _patterns()["spelled"].finditer(surface.data):
        surface.work.spend(15)
        text = found.group()
        top = re.split(rb"[ .\])}>]", text.rstrip())[-1]
        plainly = b"@" in text and b" " not in text and b"(" not in text and b"[" not in text and b"{" not in text
        if not plainly and top.isalpha() and 2 <= len(top) <= 12:
            yield Hit(found.start(), found.end(), "EMAIL_ADDRESS", 0.75, "form")


def network(surface: Surface) -> Iterator[Hit]:
    """IPv4, IPv6 and MAC addresses."""
    starts, ends = [-1], [0]  # of the IPv6 addresses, in order
    if surface.data.count(b":") >= 2:
        for found in _patterns()["ipv6"].finditer(surface.data):
            surface.work.spend(80)
            start, end = found.start(), found.start() + len(found.group().rstrip(b".")[:46])
            head = found.group().partition(b":")[0]
            if (
                surface.is_alphanumeric(start - 1) and head.isalpha()
            ):  # `value:2001:…`: the end of a word taken for a part
                start += len(head) + 1
            if _is_whole(surface, start, end, b"") and _is_ipv6(surface.text(start, end)):
                starts.append(start)
                ends.append(end)
                yield Hit(start, end, "IP_ADDRESS", 0.9, "form")
    if surface.data.count(b".") >= 3:
        for found in _patterns()["ipv4"].finditer(surface.data):
            surface.work.spend(10)
            if found.start() < ends[bisect_right(starts, found.start()) - 1]:
                continue  # the end of an IPv6 address
            if _is_whole(surface, found.start(), found.end(), b".") and _is_ipv4(surface, found.start(), found.group()):
                yield Hit(found.start(), found.end(), "IP_ADDRESS", 0.9, "form")
    if surface.data.count(b":") >= 5 or surface.data.count(b"-") >= 5 or b"." in surface.data:
        for found in _patterns()["mac"].finditer(surface.data):
            surface.work.spend(10)
            goes_back = re.search(rb"[0-9A-Fa-f]{2}[:-]$", surface.data[max(0, found.start() - 3) : found.start()])
            goes_on = re.match(rb"[:-][0-9A-Fa-f]{2}", surface.data[found.end() : found.end() + 3])
            plain = found.group().translate(None, b":-.").upper()
            is_one = plain not in {b"0" * 12, b"F" * 12} and not (b"." in found.group() and plain.isdigit())
            if is_one and not goes_back and not goes_on and _is_whole(surface, found.start(), found.end(), b"."):
                yield Hit(found.start(), found.end(), "MAC_ADDRESS", 0.9, "form")


def _is_whole(surface: Surface, start: int, end: int, more: bytes) -> bool:
    """Whether nothing stands around [start, end) that would make it a piece of something longer."""
    data = surface.data
    before = start > 0 and (
        surface.is_alphanumeric(start - 1)
        or (data[start - 1] in more and start > 1 and surface.is_alphanumeric(start - 2))
    )
    after = end < len(data) and (
        surface.is_alphanumeric(end) or (data[end] in more and surface.is_alphanumeric(end + 1))
    )
    return not before and not after


def _is_ipv4(surface: Surface, start: int, text: bytes) -> bool:
    if re.search(
        rb"(?i)(?:\bv|vers(?:ion|\.)|release|build|section|chapter)[ :=]{0,3}$",
        surface.data[max(0, start - 12) : start],
    ):
        return False
    parts = text.split(b".")
    if any(int(part) > 255 or (len(part) > 1 and part[:1] == b"0") for part in parts):
        return False
    return text not in {b"0.0.0.0", b"255.255.255.255"} and parts[0] not in {b"0", b"127"} and text[:8] != b"255.255."


def _is_ipv6(text: str) -> bool:
    if len(text.replace(":", "")) < 3:
        return False
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not address.is_loopback and not address.is_unspecified


def wallets(surface: Surface) -> Iterator[Hit]:
    """Bitcoin addresses with their checksums; Ethereum's by their form, since most are written without the checksum of case."""
    for found in _patterns()["wallet"].finditer(surface.data):
        surface.work.spend(150)
        if surface.is_alphanumeric(found.start() - 1) or surface.is_alphanumeric(found.end()):
            continue
        text = found.group().decode("ascii")
        if found.lastindex == 3:
            yield Hit(found.start(), found.end(), "CRYPTO", 0.85, "form")
        elif (checksums.is_base58_address if found.lastindex == 1 else checksums.is_bech32_address)(text):
            yield Hit(found.start(), found.end(), "CRYPTO", 1.0, "checksum")


def places(surface: Surface) -> Iterator[Hit]:
    """Coordinates: a pair of decimal degrees precise to a hundred metres or better."""
    for found in _patterns()["geo"].finditer(surface.data):
        surface.work.spend(20)
        latitude, longitude = float(found.group(1)), float(found.group(2))
        whole = not surface.is_alphanumeric(found.start() - 1) and not surface.is_alphanumeric(found.end())
        if whole and abs(latitude) <= 90 and abs(longitude) <= 180:
            yield Hit(found.start(), found.end(), "GEO_LOCATION", 0.7, "form")


def travel_documents(surface: Surface) -> Iterator[Hit]:
    """Machine readable zones with their check digits (ICAO Doc 9303)."""
    if b"<<" not in surface.data:
        return
    for found in _patterns()["mrz"].finditer(surface.data):
        surface.work.spend(60)
        text = found.group().decode("ascii")
        if checksums.is_mrz_line(text):
            yield Hit(found.start(), found.end(), "TRAVEL_DOCUMENT", 1.0, "checksum")
        elif b"<<" in found.group() and text[0] in "PVIAC" and len(text) in {30, 36, 44}:
            yield Hit(found.start(), found.end(), "TRAVEL_DOCUMENT", 0.8, "form")
