"""Taking values out of what is recorded: those that findings point at, and those that an operator's masks name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json

_SHORTEST_VALUE_TO_SEARCH = 4
NOT_SCANNED = "[not scanned]"
"""What a record holds of content that nobody looked into."""
# Header names and members whose values are credentials whatever they look like.
_ALWAYS_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "password"})
_ENCODER = json.JSONEncoder(ensure_ascii=False)
# A record says which paths were masked, but not without end.
_MOST_PATHS = 100


class Mask(NamedTuple):
    """One operation of an operator's mask (OPA's `system.log.mask`)."""

    root: str
    """`input` or `result`."""
    segments: tuple[str, ...]
    pointer: str
    is_removal: bool
    value: Json = None
    """What stands there instead, where it is not a removal."""


class Masks(NamedTuple):
    """What an operator's mask policy said about one event."""

    operations: tuple[Mask, ...] = ()
    is_dropped: bool = False
    """`drop` held: the content goes, the event stays."""
    failure: str = ""
    """Why it could not be said what to mask: then all content goes, for any of it might have been meant."""

    def applied(self, sealed: Mapping[str, Json], roots: Mapping[str, str]) -> tuple[dict[str, Json], dict[str, Json]]:
        """(sealed members, public members to add). `roots` says which sealed member `/input` and `/result` are.

        A value that was taken out is taken out wherever it is repeated: a message may quote it, a fact may hold it.
        """
        if self.failure or self.is_dropped:
            word = "failed" if self.failure else "dropped"
            return dict.fromkeys(sealed, f"[{word}]"), {
                "mask": word,
                **({"mask_error": self.failure} if self.failure else {}),
            }
        changed = dict(sealed)
        hidden: list[str] = []
        said: dict[str, list[str]] = {"erased_paths": [], "masked_paths": []}
        # From the end of each list: what is removed must not move what another pointer means.
        for mask in sorted(self.operations, key=_from_the_end, reverse=True):
            member = roots[mask.root]
            found, changed[member] = _changed(changed.get(member), mask.segments, mask)
            if found is not _NOTHING:
                _collect(found, hidden)
                said["erased_paths" if mask.is_removal else "masked_paths"].append(mask.pointer)
        values = searchable(hidden)
        if values:
            changed = {name: scrubbed(value, values) for name, value in changed.items()}
        return changed, {name: sorted(paths)[:_MOST_PATHS] for name, paths in said.items() if paths}


_NOTHING = object()


def _from_the_end(mask: Mask) -> list[tuple[int, str]]:
    return [(int(s), s) if s.isascii() and s.isdigit() and len(s) < 10 else (-1, s) for s in mask.segments]


def _changed(value: Json, segments: tuple[str, ...], mask: Mask) -> tuple[Json, Json]:
    """(what stood there, the value without it); _NOTHING where nothing did. Copies on the way down."""
    if not segments:
        return value, (None if mask.is_removal else mask.value)
    head, rest = segments[0], segments[1:]
    if isinstance(value, dict) and (head in value or not (mask.is_removal or rest)):
        copy = dict(value)
        if rest:
            found, copy[head] = _changed(copy[head], rest, mask)
        elif mask.is_removal:
            found = copy.pop(head)
        else:
            found, copy[head] = copy.get(head), mask.value
        return found, copy
    if isinstance(value, list) and head.isascii() and head.isdigit() and len(head) < 10 and int(head) < len(value):
        items, index = list(value), int(head)
        if rest:
            found, items[index] = _changed(items[index], rest, mask)
        elif mask.is_removal:
            found = items.pop(index)
        else:
            found, items[index] = items[index], mask.value
        return found, items
    return _NOTHING, value


def masked(resource: Json, facts: Json) -> tuple[Json, tuple[str, ...]]:
    """`resource` with every value that a finding points at replaced, and the values that were taken out.

    A member whose name says that it is a credential is masked with or without a finding. Where the scanner gave no answer
    nobody knows what is in it, so none of it is kept; the digest still says which request it was.
    """
    if "pii" in facts.get("unavailable", ()):
        return NOT_SCANNED, ()
    found = [finding for key in ("secrets", "pii") for finding in facts.get(key, ())]
    places = _Place()
    for finding in found:
        if "member" not in finding:
            places.add(to_segments(finding["pointer"]), finding["entity"])
    hidden: list[str] = []
    for finding in found:
        if "member" in finding:
            name = list(_at(resource, finding["pointer"]))[finding["member"]]
            hidden += [name, name.replace("~", "~0").replace("/", "~1")]
    copy = _mask_at(resource, places, hidden)
    return copy, searchable(hidden)


class _Place:
    """What is found at a place and below it: a tree beside the document, so that no pointer is made for each of its nodes."""

    __slots__ = ("below", "entity")

    def __init__(self) -> None:
        self.entity: str | None = None
        self.below: dict[str, _Place] = {}

    def add(self, segments: Sequence[str], entity: str) -> None:
        place = self
        for segment in segments:
            place = place.below.setdefault(segment, _Place())
        place.entity = entity


_NOWHERE = _Place()


def searchable(hidden: list[str]) -> tuple[str, ...]:
    """Values worth looking for elsewhere, the longest first."""
    return tuple(sorted({v for v in hidden if len(v) >= _SHORTEST_VALUE_TO_SEARCH}, key=len, reverse=True))


def _at(value: Json, pointer: str) -> Json:
    for segment in to_segments(pointer):
        value = value[int(segment)] if isinstance(value, list) else value[segment]
    return value


def _mask_at(value: Json, place: _Place, hidden: list[str]) -> Json:
    if place.entity is not None:
        _collect(value, hidden)
        return f"[{place.entity}]"
    below = place.below
    if isinstance(value, dict):
        return {key: _mask_member(key, item, below.get(key, _NOWHERE), hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_at(item, below.get(str(i), _NOWHERE), hidden) for i, item in enumerate(value)]
    return value


def _mask_member(key: str, item: Json, place: _Place, hidden: list[str]) -> Json:
    if key.lower() in _ALWAYS_SECRET and item not in (None, "", [], {}):
        _collect(item, hidden)
        return "[credential]"
    return _mask_at(item, place, hidden)


def _collect(value: Json, hidden: list[str]) -> None:
    if isinstance(value, str):
        hidden.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, hidden)
    elif isinstance(value, list):
        for item in value:
            _collect(item, hidden)
    elif value is not None and not isinstance(value, bool):
        hidden.append(json.dumps(value))


def holds_any(text: str, hidden: tuple[str, ...]) -> bool:
    """Whether some text in JSON `text` (canonical, or written as that is) may hold something of what was hidden.

    JSON writes each character by itself, so a text that holds a value holds it in writing as well.
    """
    return any(_ENCODER.encode(value)[1:-1] in text for value in hidden)


def scrubbed(value: Json, hidden: tuple[str, ...]) -> Json:
    """A value without what was hidden, in texts and in names of members."""
    return _scrubbed(value, hidden) if hidden else value


def _scrubbed(value: Json, hidden: tuple[str, ...]) -> Json:
    if isinstance(value, str):
        return without(value, hidden)
    if isinstance(value, dict):
        return {without(key, hidden): _scrubbed(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrubbed(item, hidden) for item in value]
    return value


def without(text: str, hidden: tuple[str, ...]) -> str:
    """A text without what was hidden."""
    for value in hidden:
        text = text.replace(value, "[masked]")
    return text


def without_places(value: Json, pointers: list[list[str]]) -> Json:
    """A value with `[masked]` at every place; a place is segments, `*` for every member or item."""
    for pointer in pointers:
        value = _without_place(value, pointer)
    return value


def _without_place(value: Json, segments: list[str]) -> Json:
    if not segments:
        return "[masked]"
    head, rest = segments[0], segments[1:]
    if isinstance(value, dict):
        return {key: _without_place(item, rest) if head in {"*", key} else item for key, item in value.items()}
    if isinstance(value, list):
        return [_without_place(item, rest) if head in {"*", str(i)} else item for i, item in enumerate(value)]
    return value
