"""Obligations on a document, carried out by place: what is named is changed, every other byte stays as it was.

`protected_value` works on a parsed JSON value, `protected_document` on the bytes of a document of any format.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.documents.json_places import json_places
from governance.documents.leaves import Leaf, NotReadable, leaves_in_text, number_text
from governance.errors import InternalError
from governance.protect.transforms import METHODS, WHOLE, changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from governance.documents.json_places import Place
    from governance.model.decision import Obligation
    from governance.model.request import Json
    from governance.protect.transforms import Keys


class Edit(NamedTuple):
    """One thing to do."""

    pointer: tuple[str, ...]
    """Segments; `*` stands for every member or item. Without a span, they name members in any letters: see `folded`."""
    method: str
    entity: str = ""
    """What was found there; empty where the whole field is what must not be seen."""
    span: tuple[int, int] | None = None
    """Characters of the text at `pointer`; None for all of it."""


class Protection(NamedTuple):
    """Edits, and what they are carried out with."""

    edits: tuple[Edit, ...]
    tenant: str = ""
    keys: Keys | None = None


def edits_of(obligations: Iterable[Obligation]) -> tuple[Edit, ...]:
    """Edits out of the obligations that change data. Raises InternalError for one that names no place.

    So it does for `refuse`: such data does not go on, not even where the rule that denies it was waived or only warns.
    """
    found = []
    for obligation in obligations:
        if obligation.type == "refuse":
            raise InternalError(
                f"obligation {obligation.rule} keeps this payload from leaving", hint="leave out what it points at"
            )
        if obligation.type not in METHODS:
            continue
        value = obligation.value
        pointer = value.get("pointer") if isinstance(value, dict) else None
        if not isinstance(pointer, list):
            raise InternalError(
                f"obligation {obligation.rule} has no pointer", hint='its value must be {"pointer": [segments]}'
            )
        given = value.get("span")
        span = (int(given[0]), int(given[1])) if isinstance(given, list) and len(given) == 2 else None
        entity = value.get("entity", "")
        segments = (str(segment) for segment in pointer)
        # A span fits the one text that it was found in; a field is hidden however its name is written.
        place = tuple(segments) if span is not None else tuple(folded(segment) for segment in segments)
        found.append(Edit(place, obligation.type, entity if isinstance(entity, str) else "", span))
    return tuple(found)


def protected_value(value: Json, protection: Protection) -> Json:
    """A JSON value with every edit carried out; parts that none of them touches are the same objects as before.

    A pointer that matches nothing changes nothing.
    """
    return _protected(value, [(edit, 0) for edit in protection.edits], protection)


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """A member's name as those read it who do not mind its letters.

    SCIM does not tell `userName` from `USERNAME` (RFC 7643, section 2.1), and a person sees no other width, no space around it
    and no sign without a shape in it.
    """
    if name.isascii():
        return name.strip().lower()
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(sign for sign in plain if unicodedata.category(sign) not in {"Cf", "Cc"}).strip()


class _Gone:
    """What stands for a dropped value until its container leaves it out."""


_GONE = _Gone()


def _protected(value: Json, edits: list[tuple[Edit, int]], protection: Protection) -> Json:
    """`edits`: those that count here, each with how many segments of its pointer are used up on the way."""
    if not edits:
        return value
    here = [edit for edit, used in edits if used == len(edit.pointer)]
    if here:
        return _changed_value(value, here, protection)
    if isinstance(value, dict):
        members = {key: _protected(item, _below(edits, key), protection) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not _GONE}
    if isinstance(value, list):
        items = [_protected(item, _below(edits, str(i)), protection) for i, item in enumerate(value)]
        return [item for item in items if item is not _GONE]
    return value


def _below(edits: list[tuple[Edit, int]], segment: str) -> list[tuple[Edit, int]]:
    """The edits that count below a member or an item."""
    found = []
    for edit, used in edits:
        head = edit.pointer[used]
        if head == "**":
            found += [(edit, more) for more in _behind(edit, used, segment)]
        elif _is_step(edit, head, segment):
            found.append((edit, used + 1))
    return found


def _is_step(edit: Edit, head: str, segment: str) -> bool:
    return head in {"*", segment} or (edit.span is None and head == folded(segment))


def _behind(edit: Edit, used: int, segment: str) -> Iterator[int]:
    """How much of a pointer may be used up behind a segment; `**` stands for any number of them, and at its end for one."""
    pointer = edit.pointer
    if used == len(pointer):
        return
    head = pointer[used]
    if head == "**" and used + 1 < len(pointer):
        yield used
        yield from _behind(edit, used + 1, segment)
    elif head == "**" or _is_step(edit, head, segment):
        yield used + 1


def _changed_value(value: Json, edits: Sequence[Edit], protection: Protection) -> Json:
    """One value after all that is to be done to it; the whole goes before its parts, drop before everything."""
    if any(edit.method == "drop" for edit in edits):
        return _GONE if edits[0].pointer else WHOLE
    whole = [edit for edit in edits if edit.span is None]
    if not whole and isinstance(value, str):
        return _changed_spans(value, edits, protection)
    if value is None or isinstance(value, bool | dict | list) or not whole or not whole[0].entity:
        return WHOLE  # a container, or a field that is hidden as such: nothing of its form is kept
    text = value if isinstance(value, str) else number_text(value)
    edit = min(whole, key=lambda edit: edit.method != "mask")
    return changed(text, edit.method, edit.entity, protection.tenant, protection.keys)


def _changed_spans(text: str, edits: Sequence[Edit], protection: Protection) -> str:
    return _spliced(text, _span_edits(text, edits, protection))


def _span_edits(text: str, edits: Sequence[Edit], protection: Protection) -> list[tuple[int, int, str]]:
    """Overlapping spans become one, and are masked: two methods on one character leave nothing to be turned back."""
    merged: list[tuple[int, int, str, str]] = []
    for edit in sorted(edits, key=lambda edit: edit.span or (0, 0)):
        start, end = edit.span or (0, len(text))
        if not 0 <= start <= end <= len(text):
            raise InternalError(f"an obligation names characters {start}-{end} of a text of {len(text)}")
        if merged and start < merged[-1][1]:
            before = merged[-1]
            same = (start, end) == before[:2] and edit.method == before[2]
            method, entity = (before[2], before[3]) if same else ("mask", "")
            merged[-1] = (before[0], max(end, before[1]), method, entity)
        else:
            merged.append((start, end, edit.method, edit.entity))
    return [
        (start, end, changed(text[start:end], method, entity, protection.tenant, protection.keys))
        for start, end, method, entity in merged
    ]


def protected_document(data: bytes, content_type: str, protection: Protection) -> bytes:
    """The document with every edit carried out and every other byte as it was. Raises NotReadable for a broken one."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotReadable("is not UTF-8", where=f"byte {error.start}") from error
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _json_document(text, protection).encode("utf-8")
    return _text_document(text, kind, protection).encode("utf-8")


def _json_document(text: str, protection: Protection) -> str:
    places = json_places(text)
    touched: list[tuple[Place, list[Edit]]] = []
    for place in places:
        segments = tuple(str(segment) for segment in place.path)
        edits = [edit for edit in protection.edits if _matches(edit, segments)]
        if edits:
            touched.append((place, edits))
    outer = {place.path for place, _ in touched}
    touched = [(place, edits) for place, edits in touched if not _is_below(place.path, outer)]
    dropped = {place.path for place, edits in touched if place.path and any(edit.method == "drop" for edit in edits)}
    replaced = [
        (place.start, place.end, _as_json(text[place.start : place.end], edits, protection))
        for place, edits in touched
        if place.path not in dropped
    ]
    removed = [(start, end, "") for start, end in _removals(places, dropped)]
    return _spliced(text, [*replaced, *removed])


def _is_below(path: tuple[str | int, ...], outer: set[tuple[str | int, ...]]) -> bool:
    return any(path[:length] in outer for length in range(len(path)))


def _matches(edit: Edit, segments: tuple[str, ...], used: int = 0) -> bool:
    if not segments:
        return used == len(edit.pointer)
    return any(_matches(edit, segments[1:], more) for more in _behind(edit, used, segments[0]))


def _as_json(old: str, edits: Sequence[Edit], protection: Protection) -> str:
    return json.dumps(_changed_value(json.loads(old), edits, protection), ensure_ascii=old.isascii())


def _removals(places: Sequence[Place], dropped: set[tuple[str | int, ...]]) -> Iterator[tuple[int, int]]:
    """What to cut so that the container stays valid: up to the next entry, or from the one before it at the end."""
    children: dict[tuple[str | int, ...], list[Place]] = {}
    for place in places:
        if place.path and any(path[:-1] == place.path[:-1] for path in dropped):
            children.setdefault(place.path[:-1], []).append(place)
    for siblings in children.values():
        siblings.sort(key=lambda place: place.entry)
        kept = [i for i, place in enumerate(siblings) if place.path not in dropped]
        last = kept[-1] if kept else -1
        for number, place in enumerate(siblings[: last + 1]):
            if place.path in dropped:
                yield place.entry, siblings[number + 1].entry
        if last + 1 < len(siblings):
            yield (siblings[last].end if kept else siblings[0].entry), siblings[-1].end


def _text_document(text: str, kind: str, protection: Protection) -> str:
    """CSV, XML, forms, plain text: by the place inside (`/row/column`, `/element/0/…`) or by the span of the whole text."""
    if any(not edit.pointer and edit.span is None for edit in protection.edits):
        return WHOLE
    pointed = [edit for edit in protection.edits if edit.pointer]
    fields = [
        field for leaf in (leaves_in_text(text, kind) if pointed else ()) for field in _field(leaf, pointed, protection)
    ]
    spans = [
        _masked_if_dropped(edit)
        for edit in protection.edits
        if not edit.pointer and not any(_overlap(edit.span, field) for field in fields)
    ]
    masked = [
        (start, end, _safe(text[start:end], new, kind)) for start, end, new in _span_edits(text, spans, protection)
    ]
    return _spliced(text, [*fields, *masked])


def _safe(old: str, new: str, kind: str) -> str:
    """A masked part of a text in which signs have meaning: what was escaped there is not kept half."""
    signs = "&<>" if kind.endswith("xml") else "%&=+" if kind.endswith("urlencoded") else ""
    return WHOLE if any(sign in old for sign in signs) else new


def _field(leaf: Leaf, edits: Sequence[Edit], protection: Protection) -> Iterator[tuple[int, int, str]]:
    edit = next((edit for edit in edits if _covers(edit, leaf)), None)
    if edit is None or leaf.span is None:
        return
    if edit.method == "drop":
        yield (*leaf.span, "")
    elif edit.entity and leaf.is_exact:
        yield (*leaf.span, changed(leaf.text, edit.method, edit.entity, protection.tenant, protection.keys))
    else:
        yield (*leaf.span, WHOLE)


def _overlap(span: tuple[int, int] | None, field: tuple[int, int, str]) -> bool:
    return span is not None and span[0] < field[1] and field[0] < span[1]


def _masked_if_dropped(edit: Edit) -> Edit:
    """Inside a text a value leaves its place behind."""
    return edit._replace(method="mask") if edit.method == "drop" else edit


def _covers(edit: Edit, leaf: Leaf) -> bool:
    within = tuple(str(segment) for segment in leaf.within)
    return any(_matches(edit, within[:length]) for length in range(len(within) + 1))


def _spliced(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text
