"""What is written in digits: cards, accounts, national identifiers, telephone numbers, dates of birth.

One pattern finds runs of digits with separators; a run is then read group by group. Digits alone prove little, so a weak
check digit also needs the grouping in which such a number is written, or a word or a member's name that says what it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii import checksums
from governance.enrich.pii.matching import Hit, matcher
from governance.enrich.pii.national_ids import NUMERIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher, Surface
    from governance.enrich.pii.national_ids import NationalId

_RUN = rb"\d(?:[ ().\t\n\r/_*|~-]{0,3}\d){6,}"
_COUNTRIES = "|".join(f"{code[0]}[ -]?{code[1]}" for code in checksums.IBAN_LENGTHS).encode()
_IBAN_HEAD = rb"(?i)(?:" + _COUNTRIES + rb")[ -]{0,2}\d[ -]{0,2}\d"
_BIRTH_WORD = (
    rb"(?i)birth|\bborn\b|\bdob\b|d\.o\.b|\bgeb(?:\.|oren|oorte|urts)|naissance|\bn\xe9e? |nacimiento|nacid[oa]|nascimento"
    rb"|nascid[oa]|\bnat[oa] (?:a [A-Za-z]{2,20} )?il|nascita|urodz|\bur\. |f\xf6delse|f\xf6dd|f\xf8dsel|f\xf8dt|synty[mn]"
    rb"|dogum tarih|narozen|sz\xfclet"
)
FORMS = (_BIRTH_WORD,)
_GROUPS = re.compile(rb"\d+")
# Year first, year last, eight digits either way, a month by its name: what people write as a date, with or without a zero.
_DATE = re.compile(
    r"\d{4}[-/. ]{1,2}\d{1,2}[-/. ]{1,2}\d{1,2}(?!\d)|\d{1,2}[-/. ]{1,2}\d{1,2}[-/. ]{1,2}(?:\d{4}|\d{2})(?!\d)"
    r"|(?<!\d)(?:(?:19|20)\d{6}|\d{4}(?:19|20)\d\d)(?!\d)|\d{4}\xaa\d{1,2}\xaa\d{1,2}\xaa"
    r"|\d{1,2}(?:st|nd|rd|th|er)?\.?[ -]{1,3}(?:of |de )?[^\W\d]{3,10}\.?,?[ -]{1,3}(?:de )?(?:\d{4}|\d{2})(?!\d)"
    r"|[^\W\d]{3,10}\.? {1,3}\d{1,2}(?:st|nd|rd|th)?,? {1,3}\d{4}(?!\d)|\d{4} [^\W\d]{3,10} \d{1,2}(?!\d)"
)
# Birth, but not when.
_OTHER_BIRTH = re.compile(r"(?i)[ _-]?(?:place|rate|weight|right|stone|mark|control|name|order|city|country|town)")
# What may stand between a date and the word behind it that says whose it is: `1980-02-01 (DOB)`, `… is her date of birth`.
_IS = re.compile(r"(?i)[ ,]{0,2}(?:(?:is|was) (?:my|his|her|their|the) |[(\[])(?:date of )?$")
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
_NANP = re.compile(r"(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}")
# Ways in which a card number is written in groups.
_CARD_GROUPS = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (8, 8), (4, 4, 5), (6, 10), (4, 12), (4, 4, 4, 1)}
)
# How numbers are written where they have no zero in front; other groupings could be amounts with a space in the thousands.
_LOCAL_GROUPS: dict[str, set[tuple[int, ...]]] = {
    "BR": {(2, 4, 4), (2, 5, 4)}, "DK": {(2, 2, 2, 2)}, "ES": {(3, 2, 2, 2)}, "IN": {(5, 5)}, "IT": {(3, 3, 4)},
    "NO": {(3, 2, 3), (2, 2, 2, 2)}, "TR": {(3, 3, 2, 2), (3, 3, 4)},
}  # fmt: skip
_SURE_ID = 0.9  # said to be one, not only valid and grouped as one
_SHORTEST_PHONE = 7
_SPACED_HEAD = re.compile(rb"\w[ -]\w[ -]\d[ -]\d")  # spaced throughout, not a word that ends before a code
_CARD_STARTS = frozenset(b"12345689")


class Run(NamedTuple):
    """Digits and what stands between them."""

    start: int
    end: int
    groups: tuple[tuple[int, int], ...]
    """Spans of the groups, absolute."""


@lru_cache(maxsize=1)
def _patterns() -> tuple[Matcher, Matcher, Matcher]:
    return matcher(_RUN), matcher(_IBAN_HEAD), matcher(_BIRTH_WORD)


def runs(surface: Surface) -> Iterator[Run]:
    """Runs of seven digits and more."""
    for found in _patterns()[0].finditer(surface.data):
        start = found.start()
        spans = tuple((start + m.start(), start + m.end()) for m in _GROUPS.finditer(found.group()))
        surface.work.spend(20 + 8 * len(spans))
        yield Run(start, found.end(), spans)


def numbers(surface: Surface) -> Iterator[Hit]:
    """Everything in digits, each place once: a card is no telephone number as well."""
    for run in runs(surface):
        taken: list[Hit] = []
        ids = list(_ids(surface, run))
        if ids and ids[0].score < _SURE_ID and _SAYS_PHONE.search(_before(surface, run.start, 36)):
            surface.work.spend(100)
            called = _phone(surface, run)
            ids = ids if called is None else [called]
        for hit in sorted((*cards(surface, run), *ids), key=lambda hit: -hit.score):
            if not any(hit.start < other.end and other.start < hit.end for other in taken):
                taken.append(hit)
        yield from taken
        for part in _lines(surface, run, taken):
            phone = _phone(surface, part)
            if phone is not None:
                yield phone


def _lines(surface: Surface, run: Run, taken: list[Hit]) -> Iterator[Run]:
    """What is left of a run beside what was found in it, line by line: a list of numbers to call is one run of digits."""
    group: list[tuple[int, int]] = []
    for start, end in run.groups:
        is_apart = group and any(char in b"\n\r\t|" for char in surface.data[group[-1][1] : start])
        is_taken = any(hit.start < end and start < hit.end for hit in taken)
        if group and (is_apart or is_taken):
            yield Run(group[0][0], group[-1][1], tuple(group))
            group = []
        if not is_taken:
            group.append((start, end))
    if group:
        yield Run(group[0][0], group[-1][1], tuple(group))


def _windows(surface: Surface, run: Run, least: int, most: int) -> Iterator[tuple[int, int, str, tuple[int, ...]]]:
    """(start, end, digits, sizes of the groups) of neighbouring groups that have `least` to `most` digits together."""
    for first in range(len(run.groups)):
        total, sizes = 0, []
        surface.work.spend(6 + 4 * min(len(run.groups) - first, most))
        for last in range(first, len(run.groups)):
            start, end = run.groups[last]
            total += end - start
            if total > most:
                break
            sizes.append(end - start)
            if total >= least and not _is_piece(surface, run.groups[first][0], end):
                surface.work.spend(16)
                digits = b"".join(surface.data[s:e] for s, e in run.groups[first : last + 1]).decode("ascii")
                yield run.groups[first][0], end, digits, tuple(sizes)


def _is_piece(surface: Surface, start: int, end: int) -> bool:
    """Whether [start, end) is part of a longer number or word: a decimal, a hash, an identifier with letters around."""
    data = surface.data
    if surface.is_alphanumeric(start - 1) and surface.is_alphanumeric(end):
        return True
    # The digits behind a point; a comma more often stands between two values.
    fraction = start >= 2 and data[start - 1] == 0x2E and 0x30 <= data[start - 2] <= 0x39 and data[start:end].isdigit()
    return fraction or (end < len(data) and 0x30 <= data[end] <= 0x39)


def _separators(surface: Surface, start: int, end: int) -> set[bytes]:
    return set(re.findall(rb"\D+", surface.data[start:end]))


def cards(surface: Surface, run: Run) -> Iterator[Hit]:
    """Card numbers in a run, none overlapping another."""
    reach = 0
    for start, end, digits, sizes in _windows(surface, run, 12, 19):
        if start < reach or surface.data[start] not in _CARD_STARTS or not is_written_as_card(sizes):
            continue
        if len(_separators(surface, start, end)) <= 1 and checksums.is_card(digits):
            reach = end
            yield Hit(start, end, "CREDIT_CARD", _card_score(digits), "checksum")


def _card_score(digits: str) -> float:
    """Short numbers, and fifteen digits from a 1 (cards of airlines, French identifiers), are cards less surely."""
    return 0.6 if digits[0] == "1" and len(digits) == 15 else 1.0 if len(digits) >= 14 else 0.9


def is_written_as_card(sizes: tuple[int, ...]) -> bool:
    """Whether people or programs write a card number in groups of these sizes."""
    return len(sizes) == 1 or sizes in _CARD_GROUPS or set(sizes) in ({1}, {2}, {1, 2})


def _ids(surface: Surface, run: Run) -> Iterator[Hit]:
    """The longest first: what is a whole number is no part of another kind."""
    found = []
    for start, end, digits, sizes in _windows(surface, run, 9, 15):
        for kind in NUMERIC.get(len(digits), ()):
            if kind.country in surface.policy.countries and kind.is_valid(digits):
                score = _id_score(surface, run, (start, end), kind, sizes)
                if score:
                    found.append(Hit(start, end, kind.entity, score, "checksum"))
    return iter(sorted(found, key=lambda hit: (hit.start - hit.end, -hit.score)))


def _id_score(surface: Surface, run: Run, span: tuple[int, int], kind: NationalId, sizes: tuple[int, ...]) -> float:
    """How sure a valid number is one of its kind: by what is said before it, how it is written, how much its check proves."""
    start, end = span
    if surface.is_alphanumeric(start - 1) or surface.is_alphanumeric(end):
        return 0.0
    inside = _separators(surface, start, end)
    is_alone = len(sizes) == 1
    is_grouped = (
        sizes in kind.groups
        and len(inside) <= kind.most_separators
        and all(sep.decode("latin-1") in kind.separators for sep in inside)
    )
    if (is_alone or (sizes in kind.groups and len(inside) <= kind.most_separators)) and _says(kind.words).search(
        _before(surface, run.start, 48)
    ) is not None:
        return 0.95
    if is_grouped and not _goes_on(surface, span, inside):
        return 0.85
    return 0.75 if is_alone and kind.is_strong else 0.0


def _before(surface: Surface, place: int, count: int) -> bytes:
    return surface.data[max(0, place - count) : place].rpartition(b"\x1e")[2]


@lru_cache(maxsize=64)
def _says(words: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)\b(?:" + words.encode("latin-1") + rb")")


def _goes_on(surface: Surface, span: tuple[int, int], inside: set[bytes]) -> bool:
    """Whether the same separators go on around a window: then it is cut from a longer row of groups."""
    data, (start, end) = surface.data, span
    before = data[start - 1 : start] in inside and 0x30 <= data[start - 2] <= 0x39 if start > 1 else False
    return before or (data[end : end + 1] in inside and data[end + 1 : end + 2].isdigit())


def _phone(surface: Surface, run: Run) -> Hit | None:
    """A telephone number, if the run is one: by its country code, its grouping, or the word before it."""
    if sum(end - start for start, end in run.groups) < _SHORTEST_PHONE:
        return None
    surface.work.spend(40)
    start, end = run.start, run.end
    while start and surface.data[start - 1] in b"+( " and start > run.start - 3:
        start -= 1
    start += len(surface.data[start : run.start]) - len(surface.data[start : run.start].lstrip(b" "))
    if surface.is_alphanumeric(start - 1) or (
        surface.data[end : end + 1].isalpha() and surface.data[end : end + 1] not in b"xXeE"
    ):
        return None
    if surface.data[start - 1 : start] == b"-" and surface.is_alphanumeric(start - 2):
        return None  # digits of an identifier with dashes
    text = surface.text(start, end)
    if _DATE_AHEAD.match(text.lstrip("(")) or _DECIMAL.fullmatch(text) or _is_piece(surface, run.start, end):
        return None
    score = _phone_score(surface, text, run)
    return Hit(start, end, "PHONE_NUMBER", score, "form") if score else None


def _phone_score(surface: Surface, text: str, run: Run) -> float:
    digits = re.sub(r"\D", "", text)
    number = digits.removeprefix("00")
    if text.startswith(("+", "(+")) or (number != digits and len(digits) > 9):
        if 8 <= len(number) <= 15 and number[0] != "0":
            return 0.85
    elif _NANP.fullmatch(text):
        return 0.75
    said = _PHONE_WORD.search(_before(surface, run.start, 36)) is not None
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


def _grouped_score(surface: Surface, text: str, run: Run, regions: tuple[str, ...]) -> float:
    """A number without zero, country code or word: only where it is valid in a region and written as people there do."""
    sizes = tuple(end - start for start, end in run.groups)
    near = [region for region in regions if sizes in _LOCAL_GROUPS.get(region, ())]
    return 0.55 if any(_is_valid(surface, text, region) for region in near) else 0.0


def _is_possible(surface: Surface, text: str, region: str) -> bool:
    import phonenumbers  # 36 ms to import: only where something looks like a number to call

    surface.work.spend(400)
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _is_valid(surface: Surface, text: str, region: str) -> bool:
    import phonenumbers

    surface.work.spend(600)
    try:
        return phonenumbers.is_valid_number_for_region(phonenumbers.parse(text, region), region)
    except phonenumbers.NumberParseException:
        return False


def accounts(surface: Surface) -> Iterator[Hit]:
    """IBANs: the length of the country, the check digits, and nothing glued on behind."""
    reach = 0
    for found in _patterns()[1].finditer(surface.data):
        surface.work.spend(120)
        start = found.start()
        if start < reach or (found.group()[1:2] in b" -" and not _SPACED_HEAD.fullmatch(found.group())):
            continue
        country = re.sub(r"[ -]", "", found.group().decode("ascii"))[:2].upper()
        end = _end_of(surface, start, checksums.IBAN_LENGTHS[country])
        plain = re.sub(r"[\s._-]", "", surface.text(start, end)).upper()
        if end and not surface.is_alphanumeric(end) and checksums.is_iban(plain):
            reach = end
            yield Hit(start, end, "IBAN_CODE", 0.8 if surface.is_alphanumeric(start - 1) else 1.0, "checksum")


def _end_of(surface: Surface, start: int, count: int) -> int:
    """Offset behind the `count`-th letter or digit from `start`, at most two separators between two; 0 where there is none."""
    seen, gap, place = 0, 0, start
    while seen < count:
        if surface.is_alphanumeric(place):
            seen, gap = seen + 1, 0
        elif place >= len(surface.data) or surface.data[place] not in b" -._\t\n" or gap == 2:
            return 0
        else:
            gap += 1
        place += 1
    return place


def birth_dates(surface: Surface) -> Iterator[Hit]:
    """Dates behind a word that says birth."""
    for found in _patterns()[2].finditer(surface.data):
        surface.work.spend(120)
        behind = surface.text(found.end(), found.end() + 60).partition("\x1e")[0]
        if _OTHER_BIRTH.match(behind):
            continue
        date = _DATE.search(behind)
        if date is not None and date.start() <= 40:
            yield Hit(found.end() + date.start(), found.end() + date.end(), "BIRTH_DATE", 0.8, "context")
        else:
            yield from _dates_before(surface, found.start())


def _dates_before(surface: Surface, place: int) -> Iterator[Hit]:
    """A date that the word at `place` is said of afterwards."""
    before = _before(surface, place, 60).decode("latin-1")
    said = _IS.search(before)
    if said is None:
        return
    surface.work.spend(60)
    for date in _DATE.finditer(before):
        if date.end() == said.start():
            start = place - len(before) + date.start()
            yield Hit(start, start + len(date[0]), "BIRTH_DATE", 0.8, "context")


def is_date(text: str) -> bool:
    """Whether a whole value is a date, time of day allowed."""
    return _DATE.match(text.strip()) is not None
