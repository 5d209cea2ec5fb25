"""Telephone numbers: a country code, the grouping of a region, or a word that says what the digits are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.enrich.pii.checksums import is_gtin
from governance.enrich.pii.matching import Hit

if TYPE_CHECKING:
    from governance.enrich.pii.matching import Surface
    from governance.enrich.pii.numbers import Run

_DATE_AHEAD = re.compile(
    r"(?:(?:19|20)\d\d ?[-/] ?(?:19|20)\d\d|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?!\d)"
)
_DECIMAL = re.compile(r"\d+\.\d+")
_PHONE_NOUN = (
    rb"tel(?:[.:e]|efon|efoon|efone|\xe9fono|ephone)?|phone|fon|mobil[e]?|mob|cell|celular|cellulare|fax|handy|m\xf3vil"
    rb"|whatsapp|sms|rufnummer|puhelin"
)
_PHONE_WORD = re.compile(
    rb"(?i)\b(?:" + _PHONE_NOUN + rb"|call|text|ring|reach|contact|dial|number is)[^\d\x1e\n]{0,20}$"
)
# Says that it is one, where the words above could introduce any value.
_SAYS_PHONE = re.compile(rb"(?i)\b(?:" + _PHONE_NOUN + rb")(?: ?(?:number|no|nr|n\xba)\b)?[ .:=#(+]{0,4}$")
NANP = re.compile(r"(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}")
# How numbers are written where they have no zero in front; other groupings could be amounts with a space in the thousands.
_LOCAL_GROUPS: dict[str, set[tuple[int, ...]]] = {
    "BR": {(2, 4, 4), (2, 5, 4)}, "DK": {(2, 2, 2, 2)}, "ES": {(3, 2, 2, 2)}, "IN": {(5, 5)}, "IT": {(3, 3, 4)},
    "NO": {(3, 2, 3), (2, 2, 2, 2)}, "TR": {(3, 3, 2, 2), (3, 3, 4)},
}  # fmt: skip
_SHORTEST = 7
# Whose waybills begin with a zero, as numbers with an area code do; no area code of Germany or Italy is among them.
_AIRLINES = frozenset({
    "001", "005", "006", "014", "016", "020", "023", "027", "045", "047", "055", "057", "065", "071", "074", "075", "077",
    "079", "080", "081", "082", "083", "086", "098",
})  # fmt: skip


def is_said(surface: Surface, place: int) -> bool:
    """Whether what stands before `place` says that a number to call follows."""
    return _SAYS_PHONE.search(surface.before(place, 36)) is not None


def telephone(surface: Surface, run: Run) -> Hit | None:
    """A telephone number, if the run is one: by its country code, its grouping, or the word before it."""
    if sum(end - start for start, end in run.groups) < _SHORTEST:
        return None
    surface.work.spend(60)
    start, end = run.start, run.end
    while start and surface.data[start - 1] in b"+( " and start > run.start - 3:
        start -= 1
    start += len(surface.data[start : run.start]) - len(surface.data[start : run.start].lstrip(b" "))
    if surface.is_alphanumeric(start - 1) or (
        surface.data[end : end + 1].isalpha() and surface.data[end : end + 1] not in b"xXeE"
    ):
        return None
    goes_back = surface.data[start - 1 : start] == b"-" and surface.is_alphanumeric(start - 2)
    if goes_back or (surface.data[end : end + 1] == b"-" and surface.data[end + 1 : end + 2].isalpha()):
        return None  # digits of an identifier with dashes
    text = surface.text(start, end)
    if _DATE_AHEAD.match(text.lstrip("(")) or _DECIMAL.fullmatch(text) or surface.is_piece(run.start, end):
        return None
    score = _phone_score(surface, text, run)
    return Hit(start, end, "PHONE_NUMBER", score, "form") if score else None


def _phone_score(surface: Surface, text: str, run: Run) -> float:
    digits = re.sub(r"\D", "", text)
    number = digits.removeprefix("00")
    said = _PHONE_WORD.search(surface.before(run.start, 36)) is not None
    if not said and _is_of_goods(text, digits):
        return 0.0
    if text.startswith(("+", "(+")) or (number != digits and len(digits) > 9):
        if (
            8 <= len(number) <= 15
            and number[0] != "0"
            and (number == digits or _is_possible(surface, "+" + number, ""))
        ):
            return 0.85
    elif NANP.fullmatch(text):
        return 0.75
    # With a zero in front and no more zeros: a number padded to some width would have them.
    is_local = digits[0] == "0" and digits[1] != "0" and (len(run.groups) > 1 or 10 <= len(digits) <= 11)
    regions = surface.policy.phone_regions
    if 7 <= len(digits) <= 13 and not said and not is_local:
        return _grouped_score(surface, text, run, regions)
    if not 7 <= len(digits) <= 13:
        return 0.0
    if said and any(_is_possible(surface, text, region) for region in regions):
        return 0.7
    return 0.6 if any(_is_valid(surface, text, region) for region in regions) else 0.0


def _is_of_goods(text: str, digits: str) -> bool:
    """Whether digits are numbered as goods are: an article (GS1 check digit), a waybill (IATA: airline, remainder by seven).

    Eight digits with points between are a part number; who writes a telephone number with points writes an area code too.
    """
    if text == digits:
        return digits[:2] == "00" and len(digits) in {12, 13} and is_gtin(digits)
    if set(text) - set("0123456789") == {"."}:
        return len(digits) < 9
    is_waybill = text[3:4] == "-" and len(text) == 12 and text[4:].isdigit() and text[:3] in _AIRLINES
    return is_waybill and int(text[4:11]) % 7 == int(text[11])


def _grouped_score(surface: Surface, text: str, run: Run, regions: tuple[str, ...]) -> float:
    """A number without zero, country code or word: only where it is valid in a region and written as people there do."""
    sizes = tuple(end - start for start, end in run.groups)
    near = [region for region in regions if sizes in _LOCAL_GROUPS.get(region, ())]
    return 0.55 if any(_is_valid(surface, text, region) for region in near) else 0.0


def _is_possible(surface: Surface, text: str, region: str) -> bool:
    import phonenumbers  # 36 ms to import: only where something looks like a number to call

    surface.work.spend(450)
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, region or None))
    except phonenumbers.NumberParseException:
        return False


def _is_valid(surface: Surface, text: str, region: str) -> bool:
    import phonenumbers

    surface.work.spend(700)
    try:
        return phonenumbers.is_valid_number_for_region(phonenumbers.parse(text, region), region)
    except phonenumbers.NumberParseException:
        return False
