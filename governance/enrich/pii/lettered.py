"""National identifiers that hold letters, or signs that no other number has between its groups."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii.matching import Hit, matcher
from governance.enrich.pii.national_ids import LETTERED
from governance.enrich.pii.world_ids import is_of_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher, Surface

_PATTERNS: tuple[tuple[str, bytes], ...] = (
    (
        "IT_FISCAL_CODE",
        (
            rb"[A-Za-z]{6}[0-9L-NP-Vl-np-v]{2}[A-EHLMPRSTa-ehlmprst][0-9L-NP-Vl-np-v]{2}[A-Za-z][0-9L-NP-Vl-np-v]{3}[A-Za-z]"
            rb"|[A-Za-z]{3} [A-Za-z]{3} [0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2} [A-Za-z][0-9L-NP-V]{3}[A-Za-z]"
        ),
    ),
    ("MX_CURP", rb"[A-Za-z]{4}\d{6}[HMXhmx][A-Za-z]{5}[A-Za-z0-9]\d"),
    ("IN_PAN", rb"[A-Za-z]{5}[ -]?\d{4}[ -]?[A-Za-z]"),
    ("UK_NINO", rb"(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-Za-z]"),
    ("ES_NIE", rb"[XYZxyz][ -]?\d{7}[ -]?[A-Za-z]"),
    ("SG_NRIC_FIN", rb"[STFGMstfgm]\d{7}[A-Za-z]"),
    ("TW_ID", rb"[A-Za-z][1289]\d{8}"),
    ("HK_ID", rb"[A-Za-z]{1,2}\d{6}\([0-9Aa]\)"),
    ("FI_HETU", rb"\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-FHJ-NPR-Y]"),
    ("FR_NIR", rb"[12][ ]?\d{2}[ ]?\d{2}[ ]?2[ABab][ ]?\d{3}[ ]?\d{3}[ ]?\d{2}"),
    ("CN_RESIDENT_ID", rb"\d{6}[ -]?(?:19|20)\d{6}[ -]?\d{3}[0-9Xx]"),
    ("DE_SOCIAL_SECURITY", rb"\d{2}[ -]?\d{6}[ -]?[A-Za-z][ -]?\d{3}"),
    ("CL_RUT", rb"\d{1,2}\.\d{3}\.\d{3}-[0-9Kk]|\d{7,8}-[0-9Kk]"),
    ("ES_DNI", rb"\d{2}\.\d{3}\.\d{3}[ -]?[A-Za-z]|\d{7,8}[ -]?[A-Za-z]"),
    ("IE_PPS", rb"\d{7}[ ]?[A-Wa-w][A-IWa-iw]?"),
    ("IN_AADHAAR", rb"\d{4}:\d{4}:\d{4}"),
)
_LETTERED = b"|".join(b"(" + pattern + b")" for _, pattern in _PATTERNS)
_ORDER = tuple(entity for entity, _ in _PATTERNS)
FORMS = (rb"(?:^|[^A-Za-z0-9])(?:" + _LETTERED + b")", rb"[a-z]\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-FHJ-NPR-Y]")
_SEPARATORS = re.compile(r"[ .:-]")
# Without a check character, or with one that a tenth of all such words pass.
_LESS_SURE = {
    "IN_PAN": 0.85,
    "UK_NINO": 0.85,
    "TW_ID": 0.6,
    "IE_PPS": 0.7,
    "CL_RUT": 0.8,
    "IN_AADHAAR": 0.8,
    "SG_NRIC_FIN": 0.9,
}
_WORD_ENDS = frozenset(b"abcdefghijklmnopqrstuvwxyz")


@lru_cache(maxsize=1)
def _pattern() -> Matcher:
    return matcher(_LETTERED)


def lettered_ids(surface: Surface) -> Iterator[Hit]:
    """Every identifier with the checks of its country."""
    place = 0
    while (found := _pattern().search(surface.data, place)) is not None:
        surface.work.spend(20)
        entity = _ORDER[(found.lastindex or 1) - 1]
        entity = _checked(surface, found.start(), found.end(), entity)
        if entity:
            yield Hit(found.start(), found.end(), entity, _LESS_SURE.get(entity, 0.95), "checksum")
            place = found.end()
        else:
            place = found.start() + 1  # a word before an identifier may have looked like the head of another


def _checked(surface: Surface, start: int, end: int, entity: str) -> str:
    """Which identifier a candidate is, empty for none: one form may belong to two countries, the check says to which."""
    if surface.is_alphanumeric(end) or not _is_apart(surface, start, entity):
        return ""
    text = surface.text(start, end)
    plain = text if entity in {"FI_HETU", "HK_ID"} else _SEPARATORS.sub("", text)
    others = {"ES_DNI": ("ES_DNI", "IE_PPS"), "CL_RUT": ("ES_DNI", "CL_RUT")}.get(entity, (entity,))
    for candidate in others if len(plain) in {8, 9} else (entity,):
        kind = LETTERED[candidate]
        if entity == "FI_HETU" and text[6] == "-" and text[7:].isdigit() and is_of_records(text[:6]):
            return ""  # a lot of goods, numbered by the day; people born in those days are a hundred
        if kind.country in surface.policy.countries and kind.is_valid(plain):
            return candidate
    return ""


def _is_apart(surface: Surface, start: int, entity: str) -> bool:
    """Whether nothing is glued on in front; a word in small letters before a number with a date in it counts as nothing."""
    if not surface.is_alphanumeric(start - 1):
        goes_back = start > 1 and surface.data[start - 1] in b".-" and surface.is_alphanumeric(start - 2)
        return not (goes_back and entity in {"ES_DNI", "IE_PPS", "CL_RUT"})
    return entity == "FI_HETU" and surface.data[start - 1] in _WORD_ENDS
