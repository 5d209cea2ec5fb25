"""From leaves to findings: patterns over all of them at once, what is decoded from them, what names say, what is split.

The leaves of a request are joined to one text, so that a pattern costs one search and not one for each value. Order of
events: make plain, search, decode and search again (three layers at most), put neighbours together, read the names.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right, insort
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii import (
    births,
    company,
    contacts,
    credentials,
    decoding,
    labels,
    lettered,
    names,
    numbers,
    split,
)
from governance.enrich.pii.decoding import Places
from governance.enrich.pii.matching import Surface, Work, WorkExceeded, matcher
from governance.enrich.pii.plain import SEPARATOR, Plain, as_bytes, is_plain, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.matching import Hit, Matcher
    from governance.enrich.pii.policy import ScanPolicy

SECRET_ENTITIES = credentials.SECRET_ENTITIES
_LAYERS = 3  # below the values themselves
_COMMON = (contacts.emails, numbers.accounts, numbers.numbers)
_RARE = (
    births.birth_dates, lettered.lettered_ids, contacts.network, contacts.wallets, contacts.places,
    contacts.travel_documents, credentials.secrets,
)  # fmt: skip
_HINT_SCORE, _LOOKS_SCORE, _SURE = 0.6, 0.8, 0.9
_SHORTEST_SECRET = 6
_SHORTEST_WORTH = 12  # a shorter piece of nothing but letters is a word
# What people write where nothing is, and what our own masks leave behind: neither is a value.
_NOTHING = frozenset(
    {"null", "none", "n/a", "na", "unknown", "true", "false", "yes", "no", "redacted", "string", "text", "[masked]"}
)
_REPLACED = re.compile(r"(?:tok|hmac):[A-Za-z0-9_-]{16,}")
_KEPT = 4
_NEAR = 8
_YEAR = re.compile(r"(?:19|20)\d\d")


class Finding(NamedTuple):
    """One value that should not be there, or not go on."""

    leaf: int
    """Number of the leaf."""
    entity: str
    score: float
    reason: str
    """`checksum`, `form`, `prefix`, `context`, `name`, `column`."""
    decode: tuple[str, ...]
    """How it was hidden, outermost first: `base64`, `url`, `split` …"""
    start: int
    end: int
    """Span in the text of the leaf; for what was decoded, of the part it was decoded from."""

    @property
    def is_secret(self) -> bool:
        """A credential rather than personal data."""
        return self.entity in SECRET_ENTITIES


class _Findings:
    """What was found so far; the same value in a decoded part of a leaf is no second finding."""

    def __init__(self, most: int) -> None:
        self.all: list[Finding] = []
        self._most = most
        self._spans: dict[tuple[int, str], list[tuple[int, int]]] = {}

    def add(self, finding: Finding) -> None:
        """Take one in. Raises WorkExceeded where there are too many."""
        known = self._spans.setdefault((finding.leaf, finding.entity), [])
        if finding.decode and _lies_in_one(finding, known):
            return
        insort(known, (finding.start, finding.end))
        self.all.append(finding)
        if len(self.all) > self._most:
            raise WorkExceeded(f"more than {self._most} findings in one request", hint="send it in smaller parts")


def _lies_in_one(finding: Finding, known: list[tuple[int, int]]) -> bool:
    """Whether a finding lies in one of the spans, which are in order: the nearest in front of it are looked at, and the first.

    One that is missed is found twice, which costs nothing; looking at all of them costs their square.
    """
    place = bisect_right(known, (finding.start, sys.maxsize))
    near = (*known[max(0, place - _NEAR) : place], *known[:1])
    return any(start <= finding.start and finding.end <= end for start, end in near)


class _Piece(NamedTuple):
    """A text that was decoded from a leaf."""

    leaf: int
    text: str
    name: str
    chain: tuple[str, ...]
    span: tuple[int, int]
    places: Places | None
    """Where in the leaf each character stood, if that is known."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the leaf that [start, end) of this text came from."""
        if self.places is None or end <= start:
            return self.span
        return self.places.starts[start], self.places.ends[end - 1]


def analyze(leaves: Sequence[Leaf], policy: ScanPolicy, *, hints: bool) -> list[Finding]:
    """Every finding, in the order of the leaves; `hints`: whether the name of a member alone is one for personal data.

    Raises WorkExceeded where the policy's bound on work or findings is reached: what was found so far is not all.
    """
    work, found = Work(policy.work), _Findings(policy.findings)
    layer = _Layer([leaf.text for leaf in leaves], None, policy, work)
    pieces = layer.search(found)
    for finding in split.across(leaves, layer.surface, layer.number_at):
        found.add(finding)
    for _ in range(_LAYERS):
        if not pieces:
            break
        if hints:
            _hints_of_pieces(pieces, found)
        pieces = [piece for piece in pieces if not (len(piece.text) < _SHORTEST_WORTH and piece.text.isalpha())]
        pieces = _Layer([piece.text for piece in pieces], pieces, policy, work).search(found) if pieces else []
    by_leaf: dict[int, list[Finding]] = {}
    for finding in found.all:
        if finding.score >= policy.least_score:
            by_leaf.setdefault(finding.leaf, []).append(finding)
    _read_names(leaves, by_leaf, hints=hints)
    _believe(leaves, found.all, by_leaf, policy)
    if not by_leaf and len(leaves) == 1 and not leaves[0].name and not leaves[0].path:
        by_leaf[0] = [Finding(0, h.entity, h.score, h.reason, (), h.start, h.end) for h in numbers.alone(layer.surface)]
    return [f for number in sorted(by_leaf) for f in sorted(by_leaf[number], key=lambda f: (f.start, f.end, f.entity))]


def _believe(
    leaves: Sequence[Leaf], found: list[Finding], by_leaf: dict[int, list[Finding]], policy: ScanPolicy
) -> None:
    """Add the identifiers that only their company makes findings, where nothing surer is known of their place."""
    doubted = [f for f in found if f.score == company.DOUBTED < policy.least_score]
    if not doubted:
        return
    near = [*doubted, *(finding for findings in by_leaf.values() for finding in findings)]
    for number in company.believed(leaves, [company.Seen(f.leaf, f.entity, f.score) for f in near], policy.least_score):
        finding = near[number]._replace(score=company.BELIEVED)
        known = by_leaf.setdefault(finding.leaf, [])
        if finding.score >= policy.least_score and not any(
            k.start < finding.end and finding.start < k.end and k.entity != "PHONE_NUMBER" for k in known
        ):
            known.append(finding)


def _read_names(leaves: Sequence[Leaf], by_leaf: dict[int, list[Finding]], *, hints: bool) -> None:
    for number, leaf in enumerate(labels.named(leaves)):
        hint = _hint(number, leaf, by_leaf.get(number, ()), hints=hints) if leaf.name and leaf.text else None
        if hint is not None:
            by_leaf[number] = [f for f in by_leaf.get(number, ()) if not _is_another_reading(f, hint)] + [hint]
    if hints and by_leaf:
        from governance.enrich.pii.columns import name_columns

        for finding in list(name_columns(leaves, by_leaf)):
            by_leaf.setdefault(finding.leaf, []).append(finding)


class _Layer:
    """Texts that are searched together: the leaves themselves, or what was decoded from the layer above."""

    def __init__(self, texts: list[str], origins: list[_Piece] | None, policy: ScanPolicy, work: Work) -> None:
        self._texts = texts
        self._origins = origins
        self._plains: list[Plain] | None = None
        self._starts: list[int] = []
        joined = SEPARATOR.join(texts)
        bare = joined.replace(SEPARATOR, "")
        if not is_plain(bare) or len(bare) != len(joined) - len(texts) + 1:
            work.spend(len(joined) * 4)
            self._plains = [plain(text) for text in texts]
            self._texts = [p.text for p in self._plains]
            joined = SEPARATOR.join(self._texts)
        work.spend(len(joined))
        self.surface = Surface(as_bytes(joined), work, policy)

    def search(self, found: _Findings) -> list[_Piece]:
        """Add what every pattern finds; returns what is to be looked into next."""
        surface = self.surface
        families = _COMMON if _rare().search(surface.data) is None else _COMMON + _RARE
        for hit in _without_parts([hit for family in families for hit in family(surface)]):
            found.add(self._finding(hit))
        return [piece for number in self._disguised() for piece in self._pieces(number)]

    def _disguised(self) -> Iterator[int]:
        """Texts in which something may stand in another form."""
        data = self.surface.data
        place = decoding.next_disguise(data, 0)
        while place >= 0:
            number = self.number_at(place + (data[place] == 0x1E))
            yield number
            end = self._starts[number] + len(self._texts[number])
            place = decoding.next_disguise(data, end) if end < len(data) else -1

    def number_at(self, place: int) -> int:
        """Which text stands at an offset of the joined one."""
        if not self._starts:
            start = 0
            for text in self._texts:
                self._starts.append(start)
                start += len(text) + 1
        return bisect_right(self._starts, place) - 1

    def _finding(self, hit: Hit) -> Finding:
        number = self.number_at(hit.start)
        base = self._starts[number]
        leaf, chain, span = self._placed(number, hit.start - base, hit.end - base)
        return Finding(leaf, hit.entity, hit.score, hit.reason, chain, *span)

    def _placed(self, number: int, start: int, end: int) -> tuple[int, tuple[str, ...], tuple[int, int]]:
        """(leaf, chain, span in the leaf) of a part of one text."""
        if self._plains:
            start, end = self._plains[number].original(start, end)
        if self._origins is None:
            return number, (), (start, end)
        origin = self._origins[number]
        return origin.leaf, origin.chain, origin.original(start, end)

    def _pieces(self, number: int) -> Iterator[_Piece]:
        text = self._texts[number]
        start = self._starts[number]
        data = self.surface.data[start : start + len(text)]
        for piece in decoding.pieces(text, data, self.surface.work):
            leaf, chain, span = self._placed(number, piece.start, piece.end)
            places = None if piece.places is None else self._moved(number, piece.places)
            yield _Piece(leaf, piece.text, piece.name, (*chain, piece.how), span, places)

    def _moved(self, number: int, places: Places) -> Places | None:
        """Places in one of these texts as places in its leaf."""
        if self._origins is not None and self._origins[number].places is None:
            return None
        spans = [self._placed(number, start, end)[2] for start, end in zip(places.starts, places.ends, strict=True)]
        return Places([start for start, _ in spans], [end for _, end in spans])


@lru_cache(maxsize=1)
def _rare() -> Matcher:
    """Whether any pattern of `_RARE` can match: one search in place of a dozen for the many requests that hold none."""
    forms = (*births.FORMS, *contacts.FORMS, *lettered.FORMS, *credentials.FORMS)
    return matcher(b"|".join(b"(?:" + form + b")" for form in forms))


def _without_parts(hits: list[Hit]) -> list[Hit]:
    """`hits` without those that are a piece of a surer one: the digits of an account are no telephone number."""
    if len(hits) < 2:
        return hits
    kept: list[Hit] = []
    reach, surest = -1, 0.0
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.score)):
        if hit.start < reach and hit.score < surest and hit.end <= reach:
            continue
        if kept and hit.start < kept[-1].end and hit.score > kept[-1].score and hit.end >= kept[-1].end:
            kept.pop()
        kept.append(hit)
        if hit.end > reach:
            reach, surest = hit.end, hit.score
    return kept


def _hints_of_pieces(pieces: list[_Piece], found: _Findings) -> None:
    """What the parameters of a query, or members of JSON in a text, say by their names."""
    for text in pieces:
        if not text.name or not text.text or _is_no_value(text.text):
            continue
        said = names.meaning(text.name)
        if said.entity is not None:
            finding = Finding(text.leaf, said.entity, _HINT_SCORE, "name", text.chain, *text.span)
            found.add(finding)


def _is_no_value(text: str) -> bool:
    """Whether nothing is left to read in a text: signs alone, or stars with at most four characters kept at the end."""
    text = text.strip()
    if text.lower() in _NOTHING or _REPLACED.fullmatch(text):
        return True
    hidden, _, shown = text.rpartition("*")
    if hidden.count("*") < 2 or sum(char.isalnum() for char in shown) > _KEPT:
        hidden = text
    return not any(char.isalnum() for char in hidden)


def _hint(number: int, leaf: Leaf, known: Sequence[Finding], *, hints: bool) -> Finding | None:
    said = names.meaning(leaf.name)
    text = leaf.text
    if said.is_secret and not known:
        if len(text) >= _SHORTEST_SECRET and not credentials.is_reference(text) and not _is_no_value(text):
            return Finding(number, "NAMED_SECRET", _HINT_SCORE, "name", (), 0, len(text))
        return None
    if not hints:
        return None
    place = leaf.within or leaf.path
    entity = said.entity
    if entity is None and said.is_name and names.is_about_people(place[:-1]):
        entity = "PERSON_NAME"
    if entity is None and names.is_employer(leaf.name) and names.is_about_people(place[:-1]):
        entity = "ORGANIZATION"
    # What our own hash or token left behind has digits, and is none of what a name further up says.
    entity = entity or names.inherited(place, _REPLACED.sub("", text) if ":" in text else text)
    # What stands beside a value in a field of its kind belongs to it: the whole goes, not the part that has a form.
    begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if entity is None or _is_no_value(text):
        return None
    whole = [f for f in known if f.start <= begin and f.end >= end]
    if entity == "NATIONAL_ID":
        entity = names.national(leaf.name, text) or entity
    if entity == "BIRTH_DATE" and _YEAR.fullmatch(text):
        entity = "BIRTH_YEAR"
    score = (
        _LOOKS_SCORE
        if entity not in {"PERSON_NAME", "ORGANIZATION"} and names.looks_like(entity, text)
        else _HINT_SCORE
    )
    if any(f.entity == entity or f.score >= (_SURE if score == _LOOKS_SCORE else 0) for f in whole):
        return None
    return Finding(number, entity, score, "name", (), 0, len(text))


def _is_another_reading(known: Finding, hint: Finding) -> bool:
    """Whether a finding reads a whole value as something else than its name and its look agree on, without being sure."""
    is_whole = known.start <= hint.start + 1 and known.end >= hint.end - 1
    is_sure = known.is_secret or known.decode or known.score >= _SURE
    return hint.score == _LOOKS_SCORE and is_whole and not is_sure
