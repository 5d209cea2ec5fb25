"""A document as leaves: each value with its place and the name of its member, whatever the format.

Formats: JSON and JSON lines, XML (no document type, no entities), CSV and tab-separated values, forms, plain text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

_LARGEST_TEXT = 16 << 20
# A shorter name of nothing but letters can hold no number, address or key, encoded or not.
_SHORTEST_NAME_WITH_A_VALUE = 14


class NotReadable(CallerError):
    """A document that cannot be looked into; nothing in it can be called clean."""

    code = "not_readable"


class Leaf(NamedTuple):
    """One value to look at."""

    path: tuple[str | int, ...]
    """Where it stands in the JSON document."""
    name: str
    """The nearest member's name, column or element."""
    text: str
    within: tuple[str | int, ...] = ()
    """Its place inside the text at `path`, where that is a document of another format."""
    span: tuple[int, int] | None = None
    """Where it stands in that text; None where it is the whole value at `path`."""
    is_exact: bool = True
    """Whether the characters of `text` are those of the span, one for one."""
    member: int = -1
    """Which member of the object at `path` has `text` as its name; -1 for a value."""


def leaves_of(value: Json, *, names: bool = False) -> Iterator[Leaf]:
    """Every text and number of a JSON value in the document's order, and the `names` of members in front of their values."""
    todo: list[tuple[tuple[str | int, ...], str, Json]] = [((), "", value)]
    while todo:
        path, name, node = todo.pop()
        if isinstance(node, str):
            yield Leaf(path, name, node)
        elif isinstance(node, dict):
            if names:
                for place, key in enumerate(node):
                    if _may_hold_a_value(key):
                        yield Leaf(path, "", key, (), None, True, place)
            todo.extend(((*path, key), key, item) for key, item in reversed(node.items()))
        elif isinstance(node, list):
            todo.extend(((*path, i), name, item) for i, item in reversed(list(enumerate(node))))
        elif isinstance(node, int | float) and not isinstance(node, bool):
            yield Leaf(path, name, number_text(node))


def _may_hold_a_value(name: str) -> bool:
    return len(name) > _SHORTEST_NAME_WITH_A_VALUE or not name.isalpha()


def number_text(number: float) -> str:
    """A number as people would write it: a whole one without `.0`."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e20:
        return str(int(number))
    return str(number)


def leaves_in_text(text: str, content_type: str, path: tuple[str | int, ...] = ()) -> list[Leaf]:
    """The leaves of a document of another format. Raises NotReadable for XML that must not be parsed."""
    kind = content_type.partition(";")[0].strip().lower()
    if len(text) > _LARGEST_TEXT:
        raise NotReadable(f"a text of {len(text)} characters is more than can be looked into")
    if kind in {"text/csv", "text/tab-separated-values"}:
        return list(_csv(text, path))
    if kind in {"application/xml", "text/xml"} or kind.endswith("+xml"):
        from governance.documents.markup import xml_leaves

        return xml_leaves(text, path)
    if kind == "application/x-www-form-urlencoded":
        return list(_form(text, path))
    if kind in {"application/x-ndjson", "application/jsonl", "application/json-lines"}:
        return list(_json_lines(text, path))
    if kind == "application/json" or kind.endswith("+json"):
        return list(_json(text, path))
    return [Leaf(path, str(path[-1]) if path else "", text, (), (0, len(text)))] if text else []


def json_of(text: str) -> Json:
    """JSON without members that stand twice: a reader keeps one of them, and nobody would look at the other.

    Raises ValueError, also for NaN and a number out of range, which other readers refuse, or RecursionError.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"member {twice[:60]!r} stands twice in one object")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"{text[:40]} is a number out of range")
    return number


def _json(text: str, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    try:
        value = json_of(text)
    except (ValueError, RecursionError):
        yield Leaf(path, "", text, (), (0, len(text)))
        return
    for leaf in leaves_of(value, names=True):
        yield leaf._replace(path=path, within=leaf.path, span=(0, len(text)), is_exact=False)


def _json_lines(text: str, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    start = 0
    for number, line in enumerate(text.split("\n")):
        for leaf in _json(line, path):
            within = (number, *leaf.within)
            yield leaf._replace(within=within, span=(start, start + len(line)))
        start += len(line) + 1


def _form(text: str, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    from urllib.parse import unquote_plus

    start = 0
    for number, pair in enumerate(text.split("&")):
        name, _, value = pair.partition("=")
        begin = start + len(pair) - len(value)
        decoded = unquote_plus(value, errors="replace")
        if value and _may_hold_a_value(unquote_plus(name)):
            # The name itself may be what must not leave, as a JSON member's may.
            yield Leaf(path, "", unquote_plus(name), (number,), (start, start + len(name)), name == unquote_plus(name))
        if value:
            yield Leaf(
                path, unquote_plus(name), decoded, (unquote_plus(name),), (begin, start + len(pair)), value == decoded
            )
        else:
            yield Leaf(path, "", unquote_plus(pair), (number,), (start, start + len(pair)), False)
        start += len(pair) + 1


class Cell(NamedTuple):
    """One cell: its place, and the span of its text without the quotes around it."""

    row: int
    column: int
    start: int
    end: int
    is_quoted: bool


def cells(text: str) -> Iterator[Cell]:
    """The cells of comma-, semicolon- or tab-separated text (RFC 4180); which of them, the first line says."""
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    # A cell is quoted, with quotes doubled inside, or goes up to the next separator or line's end.
    pattern = re.compile(rf'"((?:[^"]|"")*)"|([^{re.escape(separator)}\r\n]*)')
    place = row = column = 0
    while place <= len(text):
        found = pattern.match(text, place)
        if found is None:  # not reached: the second branch matches the empty text
            return
        group = 1 if found[1] is not None else 2
        yield Cell(row, column, found.start(group), found.end(group), group == 1)
        place = found.end()
        column += 1
        if text.startswith(separator, place):
            place += 1
        elif place < len(text) and text[place] not in "\r\n":
            continue  # text behind a closing quote: a cell of its own, so that nothing is passed over
        else:
            while place < len(text) and text[place] in "\r\n":
                place += 1
            row, column = row + 1, 0
            if place == len(text):
                return


def _csv(text: str, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    header: list[str] = []
    for cell in cells(text):
        raw = text[cell.start : cell.end]
        value = raw.replace('""', '"') if cell.is_quoted else raw
        if cell.row == 0:
            header.append(value.strip().lstrip("\ufeff"))
        name = header[cell.column] if cell.row and cell.column < len(header) else ""
        column: str | int = name or cell.column
        if value:
            yield Leaf(path, name, value, (cell.row, column), (cell.start, cell.end), value == raw)
