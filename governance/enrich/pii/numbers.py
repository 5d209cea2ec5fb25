"""What is written in digits: cards, accounts and national identifiers; telephone numbers where the digits are neither.

One pattern finds runs of digits with separators; a run is then read group by group. Digits alone prove little, so a weak
check digit also needs the grouping in which such a number is written, or a word or a member's name that says what it is.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii import checksums, telephones
from governance.enrich.pii.company import BELIEVED, DOUBTED
from governance.enrich.pii.matching import Hit, matcher
from governance.enrich.pii.national_ids import NUMERIC, NationalId
from governance.enrich.pii.world_ids import is_of_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from governance.enrich.pii.matching import Matcher, Surface

_RUN = rb"\d(?:[ ().\t\n\r/_*|~-]{0,3}\d){6,}"
_COUNTRIES = "|".join(f"{code[0]}[ -]?{code[1]}" for code in checksums.IBAN_LENGTHS).encode()
_IBAN_HEAD = rb"(?i)(?:" + _COUNTRIES + rb")[ -]{0,2}\d[ -]{0,2}\d"
_GROUPS = re.compile(rb"\d+")
_NO_DIGITS = re.compile(rb"\D+")
# Ways in which a card number is written in groups.
_CARD_GROUPS = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (8, 8), (4, 4, 5), (6, 10), (4, 12), (4, 4, 4, 1)}
)
_SURE_ID = 0.9  # said to be one, not only valid and grouped as one
_LEAST, _LONGEST_ID, _MOST = 9, 15, 19  # digits of the shortest identifier, the longest, and the longest card
_SPACED_HEAD = re.compile(rb"\w[ -]\w[ -]\d[ -]\d")  # spaced throughout, not a word that ends before a code
_CARD_STARTS = frozenset(b"12345689")
_WORD_REACH, _WORD_REACH_BEHIND = 48, 24
_WORK_OF_A_CHECK = 35


class Run(NamedTuple):
    """Digits and what stands between them."""

    start: int
    end: int
    groups: tuple[tuple[int, int], ...]
    """Spans of the groups, absolute."""


class _Window(NamedTuple):
    """Neighbouring groups of a run that are written as a card or an identifier may be."""

    start: int
    end: int
    digits: str
    sizes: tuple[int, ...]
    is_card: bool
    kinds: tuple[NationalId, ...]
    """Whose identifiers are written so, or may be where a word says what it is."""


@lru_cache(maxsize=1)
def _patterns() -> tuple[Matcher, Matcher]:
    return matcher(_RUN), matcher(_IBAN_HEAD)


def runs(surface: Surface) -> Iterator[Run]:
    """Runs of seven digits and more."""
    for found in _patterns()[0].finditer(surface.data):
        start, end = found.start(), found.end()
        spans = tuple([m.span() for m in _GROUPS.finditer(surface.data, start, end)])
        surface.work.spend(24 + 10 * len(spans))
        yield Run(start, end, spans)


def numbers(surface: Surface) -> Iterator[Hit]:
    """Everything in digits, each place once: a card is no telephone number as well."""
    for run in runs(surface):
        windows = list(_windows(surface, run))
        taken = _taken(surface, run, windows) if windows else []
        yield from taken
        sure = [hit for hit in taken if hit.score > DOUBTED]
        for part in _lines(surface, run, sure) if sure or len(run.groups) > 1 else (run,):
            phone = telephones.telephone(surface, part)
            if phone is not None:
                yield phone


def _taken(surface: Surface, run: Run, windows: list[_Window]) -> list[Hit]:
    taken, places = list[Hit](), list[tuple[int, int]]()
    ids = _ids(surface, run, windows)
    if ids and ids[0].score < _SURE_ID and telephones.is_said(surface, run.start):
        surface.work.spend(100)
        called = telephones.telephone(surface, run)
        ids = ids if called is None else [called]
    for hit in sorted((*_cards(surface, windows), *ids), key=lambda hit: -hit.score):
        if not _meets(places, hit.start, hit.end):
            taken.append(hit)
            insort(places, (hit.start, hit.end))
    return taken


def _meets(places: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the places, which are in order and apart from each other, has something of this one."""
    at = bisect_left(places, (end,))
    return at > 0 and places[at - 1][1] > start


def _lines(surface: Surface, run: Run, taken: list[Hit]) -> Iterator[Run]:
    """What is left of a run beside what was found in it, line by line: a list of numbers to call is one run of digits."""
    group: list[tuple[int, int]] = []
    places = sorted((hit.start, hit.end) for hit in taken)
    for start, end in run.groups:
        is_apart = group and any(char in b"\n\r\t|" for char in surface.data[group[-1][1] : start])
        is_taken = _meets(places, start, end)
        if group and (is_apart or is_taken):
            yield Run(group[0][0], group[-1][1], tuple(group))
            group = []
        if not is_taken:
            group.append((start, end))
    if group:
        yield Run(group[0][0], group[-1][1], tuple(group))


def _windows(surface: Surface, run: Run) -> Iterator[_Window]:
    groups, data = run.groups, surface.data
    is_said: bool | None = None
    for first, (begin, _) in enumerate(groups):
        total = 0
        sizes: tuple[int, ...] = ()
        surface.work.spend(6 + 4 * min(len(groups) - first, _MOST))
        for start, end in groups[first : first + _MOST]:
            total += end - start
            if total > _MOST:
                break
            sizes = (*sizes, end - start)
            if total < _LEAST:
                continue
            is_card, kinds = _shape(sizes)
            if first == 0 and total in NUMERIC and len(kinds) < len(NUMERIC[total]):
                is_said = _is_said(surface, run) if is_said is None else is_said
                kinds = NUMERIC[total] if is_said else kinds
            if (is_card or kinds) and not surface.is_piece(begin, end):
                surface.work.spend(16)
                digits = _NO_DIGITS.sub(b"", data[begin:end]).decode("ascii")
                yield _Window(begin, end, digits, sizes, is_card, kinds)


@lru_cache(maxsize=4096)
def _shape(sizes: tuple[int, ...]) -> tuple[bool, tuple[NationalId, ...]]:
    """Whether groups of these sizes may be a card, and whose identifiers are written so."""
    total = sum(sizes)
    kinds = tuple(kind for kind in NUMERIC.get(total, ()) if len(sizes) == 1 or sizes in kind.groups)
    return total >= checksums.SHORTEST_CARD and is_written_as_card(sizes), kinds


def _is_said(surface: Surface, run: Run) -> bool:
    """Whether any word that says what an identifier is stands beside a run: then its groups may be of any size."""
    surface.work.spend(30)
    return _is_beside(surface, run, _ALL_WORDS)


def _separators(surface: Surface, start: int, end: int) -> set[bytes]:
    return set(_NO_DIGITS.findall(surface.data[start:end]))


def cards(surface: Surface, run: Run) -> list[Hit]:
    """Card numbers in a run, none overlapping another."""
    return _cards(surface, _windows(surface, run))


def _cards(surface: Surface, windows: Iterable[_Window]) -> list[Hit]:
    reach, found = 0, []
    for window in windows:
        start, end, digits = window[:3]
        if not window.is_card or start < reach or surface.data[start] not in _CARD_STARTS:
            continue
        inside = _separators(surface, start, end)
        is_decimal = inside == {b"."} and len(window.sizes) == 2
        if not is_decimal and checksums.is_card(digits) and len(inside) <= 1 and not _is_parcel(surface, start):
            reach = end
            found.append(Hit(start, end, "CREDIT_CARD", _card_score(digits), "checksum"))
    return found


def _card_score(digits: str) -> float:
    """Short numbers, and fifteen digits from a 1 (cards of airlines, French identifiers), are cards less surely.

    Thirteen digits are Visa's of long ago, and far more often an article's.
    """
    if len(digits) == 13 and checksums.is_gtin(digits):
        return DOUBTED
    return 0.6 if digits[0] == "1" and len(digits) == 15 else 1.0 if len(digits) >= 14 else 0.9


def _is_parcel(surface: Surface, start: int) -> bool:
    """Whether a parcel's number (UPS: 1Z and sixteen characters) stands there."""
    return surface.data[max(0, start - 2) : start] == b"1Z" and not surface.is_alphanumeric(start - 3)


def is_written_as_card(sizes: tuple[int, ...]) -> bool:
    """Whether people or programs write a card number in groups of these sizes."""
    return len(sizes) == 1 or sizes in _CARD_GROUPS or set(sizes) in ({1}, {2}, {1, 2})


def _ids(surface: Surface, run: Run, windows: list[_Window]) -> list[Hit]:
    """The longest first: what is a whole number is no part of another kind."""
    found = []
    said: bool | None = None
    for window in windows:
        for kind in window.kinds:
            needs_word = not kind.bare and window.sizes not in kind.groups
            if needs_word and said is None:
                said = _is_said(surface, run)
            if kind.country not in surface.policy.countries or (needs_word and not said):
                continue
            surface.work.spend(_WORK_OF_A_CHECK)
            if kind.is_valid(window.digits):
                said = _is_said(surface, run) if said is None else said
                score = _id_score(surface, window, kind, is_called=said and _is_called(surface, run, kind))
                if score:
                    found.append(Hit(window.start, window.end, kind.entity, score, "checksum"))
    return sorted(found, key=lambda hit: (hit.start - hit.end, -hit.score)) if len(found) > 1 else found


def _id_score(surface: Surface, window: _Window, kind: NationalId, *, is_called: bool) -> float:
    """How sure a valid number is one of its kind: by what is said beside it, how it is written, how much its check proves."""
    start, end, _, sizes = window[:4]
    if surface.is_alphanumeric(end):
        return 0.0
    bare = kind.bare if len(sizes) == 1 else 0.0
    is_numbered = (kind.is_dated or (bare == BELIEVED)) and is_of_records(window.digits)
    if surface.is_alphanumeric(start - 1):
        return min(bare, 0.6) if not is_numbered and _follows_a_word(surface, start) else 0.0
    inside = _separators(surface, start, end)
    if len(inside) <= kind.most_separators and is_called:
        return 0.95
    is_grouped = (
        sizes in kind.groups
        and len(inside) <= kind.most_separators
        and all(sep.decode("latin-1") in kind.separators for sep in inside)
    )
    if is_grouped and not is_numbered and not _goes_on(surface, (start, end), inside):
        is_call = inside == {b"-"} and telephones.NANP.fullmatch(surface.text(start, end)) is not None
        return 0.0 if is_call else 0.85
    return 0.0 if is_numbered else bare


def _is_called(surface: Surface, run: Run, kind: NationalId) -> bool:
    """Whether a word before a number, or right behind it, says what it is."""
    surface.work.spend(30)
    return bool(kind.words) and _is_beside(surface, run, kind.words)


def _is_beside(surface: Surface, run: Run, words: str) -> bool:
    if _says(words).search(surface.before(run.start, _WORD_REACH)) is not None:
        return True
    behind = surface.data[run.end : run.end + _WORD_REACH_BEHIND].partition(b"\x1e")[0]
    return _says_behind(words).match(behind) is not None


def _follows_a_word(surface: Surface, place: int) -> bool:
    """Whether nothing but small letters of a word stand before `place`: one that was glued on, not part of a code."""
    return _GLUED.search(surface.before(place, _WORD_REACH)) is not None


_GLUED = re.compile(rb"(?:^|[^A-Za-z0-9])[A-Za-z]?[a-z]{1,20}$")
_ALL_WORDS = "|".join(sorted({kind.words for kinds in NUMERIC.values() for kind in kinds if kind.words}))


@lru_cache(maxsize=128)
def _says(words: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)\b(?:" + words.encode("latin-1") + rb")")


@lru_cache(maxsize=128)
def _says_behind(words: str) -> re.Pattern[bytes]:
    said = rb"(?i)[^\w\n]{0,3}(?:(?:is|was|as) )?(?:(?:my|his|her|their|the|a|an|your) )?(?:"
    return re.compile(said + words.encode("latin-1") + rb")")


def _goes_on(surface: Surface, span: tuple[int, int], inside: set[bytes]) -> bool:
    """Whether the same separators go on around a window: then it is cut from a longer row of groups."""
    data, (start, end) = surface.data, span
    before = data[start - 1 : start] in inside and 0x30 <= data[start - 2] <= 0x39 if start > 1 else False
    goes_on = inside | {b","} if inside == {b"."} else inside  # an amount has its decimals behind a comma
    return before or (data[end : end + 1] in goes_on and data[end + 1 : end + 2].isdigit())


# Whose digits, bare and with nothing beside them, are looked at all the same.
_ALONE = frozenset({"US_SSN", "US_ITIN", "UK_NHS", "IN_AADHAAR"})


def alone(surface: Surface) -> Iterator[Hit]:
    """A text that is nothing but the digits of one valid number: nothing says that it is anything else."""
    digits = surface.data.rstrip().decode("latin-1")
    kinds = NUMERIC.get(len(digits), ()) if digits.isascii() and digits.isdigit() else ()
    for kind in kinds:
        if kind.entity in _ALONE and kind.country in surface.policy.countries and kind.is_valid(digits):
            yield Hit(0, len(digits), kind.entity, 0.5, "checksum")


def accounts(surface: Surface) -> Iterator[Hit]:
    """IBANs: the length of the country, the check digits, and nothing glued on behind."""
    reach = 0
    for found in _patterns()[1].finditer(surface.data):
        surface.work.spend(150)
        start = found.start()
        if start < reach or (found.group()[1:2] in b" -" and not _SPACED_HEAD.fullmatch(found.group())):
            continue
        if surface.is_alphanumeric(start - 1) and not found.group().isalnum():
            continue  # `see 34…`: the end of a word and a number behind it
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
