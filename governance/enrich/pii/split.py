"""Values that were cut up over the items of a list or the members of an object, next to each other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii import contacts, credentials, numbers
from governance.enrich.pii.matching import Surface, matcher
from governance.enrich.pii.national_ids import us_ssn
from governance.enrich.pii.plain import SEPARATOR, as_bytes, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.analyze import Finding
    from governance.enrich.pii.matching import Hit, Matcher

_LONGEST_PIECE = 40
_MOST_PIECES = 64
_SHORTEST_VALUE = 9
# A value that goes on in the next text: digits beside digits, the head of an account number, an address cut at its sign or
# host, the beginning of a key.
_WORTH = (
    rb"(?:^|\x1e)\d{1,10}[ -]{0,2}(?:\x1e{1,3}[ -]{0,2}\d{1,10}[ -]{0,2}){2,}(?:\x1e|$)"
    rb"|(?:^|\x1e)\d{4,}[ -]{0,2}\x1e{1,3}[ -]{0,2}\d{4,}(?:\x1e|$)"
    rb"|(?:^|\x1e)[A-Z]{2}(?:\x1e?\d){2}[A-Z0-9 ]{0,20}\x1e{1,3}[A-Z0-9 ]*\d{3}"
    rb"|@[A-Za-z0-9-]*\x1e|\x1e@|@[A-Za-z0-9.-]+\.\x1e|AKIA|ASIA|gh[pousr]_|github_pat|xox|AIza|sk-|k_live|k_test|eyJ"
)


@lru_cache(maxsize=1)
def _worth() -> Matcher:
    return matcher(_WORTH)


def across(leaves: Sequence[Leaf], whole: Surface, number_at: Callable[[int], int]) -> Iterator[Finding]:
    """A finding for every piece of a value that only shows when neighbours are put together.

    `whole`: the plain text of all leaves, joined; `number_at`: which leaf stands at an offset of it.
    """
    done = -1
    for found in _worth().finditer(whole.data):
        number = number_at(found.start() + (whole.data[found.start()] == ord(SEPARATOR)))
        if number <= done:
            continue
        for group in _groups(leaves, number):
            done = group[-1]
            parts = [plain(leaves[number].text).text for number in group]
            whole.work.spend(10 * len(parts))
            joined = as_bytes("".join(parts))
            if len(joined) >= _SHORTEST_VALUE:
                yield from _in_group(group, parts, Surface(joined, whole.work, whole.policy))


def _groups(leaves: Sequence[Leaf], number: int) -> Iterator[list[int]]:
    """The short leaves around one that stand under the same parent, in groups of at most so many."""
    parent = _above(leaves[number])
    first = last = number
    while first > 0 and _is_neighbour(leaves[first - 1], parent):
        first -= 1
    while last + 1 < len(leaves) and _is_neighbour(leaves[last + 1], parent):
        last += 1
    near = [i for i in range(first, last + 1) if leaves[i].text and len(leaves[i].text) <= _LONGEST_PIECE]
    for start in range(0, len(near), _MOST_PIECES):
        if len(near) - start > 1:
            yield near[start : start + _MOST_PIECES]


def _above(leaf: Leaf) -> tuple[object, ...]:
    return (leaf.path, leaf.within[:-1]) if leaf.within else (leaf.path[:-1], ())


def _is_neighbour(leaf: Leaf, parent: tuple[object, ...]) -> bool:
    return leaf.member < 0 and len(leaf.text) <= _LONGEST_PIECE and _above(leaf) == parent


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
