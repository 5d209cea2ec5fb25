"""Values that were cut up over the items of a list or the members of an object, next to each other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii import contacts, credentials, numbers
from governance.enrich.pii.matching import Surface, matcher
from governance.enrich.pii.national_ids import us_ssn
from governance.enrich.pii.plain import SEPARATOR, as_bytes, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.analyze import Finding
    from governance.enrich.pii.matching import Hit, Matcher

_LONGEST_PIECE = 40
_MOST_PIECES = 64
# A value that goes on in the next text: digits beside digits, the head of an account number, an address cut at its sign or
# host, the beginning of a key.
_WORTH = (
    rb"(?:^|\x1e)\d{1,10}[ -]{0,2}(?:\x1e[ -]{0,2}\d{1,10}[ -]{0,2}){2,}(?:\x1e|$)"
    rb"|(?:^|\x1e)\d{4,}[ -]{0,2}\x1e[ -]{0,2}\d{4,}(?:\x1e|$)"
    rb"|(?:^|\x1e)[A-Za-z]{2}(?:\x1e?\d){2}[A-Za-z0-9 ]{0,20}\x1e[A-Za-z0-9 ]+"
    rb"|@[A-Za-z0-9-]*\x1e|\x1e@|@[A-Za-z0-9.-]+\.\x1e|AKIA|ASIA|gh[pousr]_|github_pat|xox|AIza|sk-|k_live|k_test|eyJ"
)


@lru_cache(maxsize=1)
def _worth() -> Matcher:
    return matcher(_WORTH)


def across(leaves: Sequence[Leaf], whole: Surface) -> Iterator[Finding]:
    """A finding for every piece of a value that only shows when neighbours are put together.

    `whole`: the plain text of all leaves, joined.
    """
    if _worth().search(whole.data) is None:
        return
    for group in _groups(leaves):
        parts = [plain(leaves[number].text).text for number in group]
        whole.work.spend(10 * len(parts))
        if _worth().search(as_bytes(SEPARATOR + SEPARATOR.join(parts))) is not None:
            yield from _in_group(group, parts, Surface(as_bytes("".join(parts)), whole.work, whole.policy))


def _groups(leaves: Sequence[Leaf]) -> Iterator[list[int]]:
    """Numbers of neighbouring short leaves under one parent."""
    group: list[int] = []
    parent: object = None
    for number, leaf in enumerate(leaves):
        if leaf.member >= 0 or not leaf.text:
            continue
        above = (leaf.path[:-1], leaf.within[:-1]) if leaf.within else leaf.path[:-1]
        if above != parent or len(leaf.text) > _LONGEST_PIECE or len(group) == _MOST_PIECES:
            if len(group) > 1:
                yield group
            group = []
        parent = above
        if len(leaf.text) <= _LONGEST_PIECE:
            group.append(number)
    if len(group) > 1:
        yield group


def _in_group(group: list[int], parts: list[str], surface: Surface) -> Iterator[Finding]:
    from governance.enrich.pii.analyze import Finding

    ends, place = [], 0
    for part in parts:
        place += len(part)
        ends.append(place)
    for hit in _hits(parts, surface):
        first = next(i for i, end in enumerate(ends) if end > hit.start)
        last = next(i for i, end in enumerate(ends) if end >= hit.end)
        if last == first or not _is_believed(
            hit, parts[first : last + 1], (ends[first] - len(parts[first]), ends[last])
        ):
            continue
        for number, part in zip(group[first : last + 1], parts[first : last + 1], strict=True):
            yield Finding(number, hit.entity, min(hit.score, 0.8), hit.reason, ("split",), 0, len(part))


def _hits(parts: list[str], surface: Surface) -> Iterator[Hit]:
    from governance.enrich.pii.matching import Hit

    for run in numbers.runs(surface):
        yield from numbers.cards(surface, run)
    yield from numbers.accounts(surface)
    yield from contacts.emails(surface)
    yield from credentials.secrets(surface)
    place = 0
    for number, part in enumerate(parts):
        three = parts[number : number + 3]
        if [len(p) for p in three] == [3, 2, 4] and "".join(three).isdigit() and us_ssn("".join(three)):
            yield Hit(place, place + 9, "US_SSN", 0.7, "form")
        place += len(part)


def _is_believed(hit: Hit, parts: list[str], whole: tuple[int, int]) -> bool:
    """Whether the pieces look cut from one value, rather than being values that happen to fit together.

    `whole`: where the first piece begins and the last ends.
    """
    at_start, at_end = hit.start == whole[0], hit.end == whole[1]
    if hit.entity == "CREDIT_CARD":
        sizes = tuple(sum(char.isdigit() for char in part) for part in parts)
        return at_start and at_end and all(sizes) and (numbers.is_written_as_card(sizes) or len(parts) <= 3)
    if hit.entity in {"IBAN_CODE", "US_SSN"}:
        return at_start and at_end
    if hit.entity == "EMAIL_ADDRESS":
        return at_start and at_end and any(part[:1] == "@" or part[-1:] == "@" or "@" in part for part in parts)
    return at_start and hit.reason == "prefix"
