"""Where each value of a JSON text stands, so that one can be changed and every other byte stays as it was."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from governance.documents.leaves import NotReadable

_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_DEEPEST = 256


class Place(NamedTuple):
    """One value in a JSON text."""

    path: tuple[str | int, ...]
    start: int
    end: int
    entry: int
    """Where the member that holds it begins, with its name; for items the value's own start."""


def json_places(text: str) -> list[Place]:
    """Every value, containers after what is in them. Raises NotReadable for text that is not JSON."""
    reader = _Reader(text)
    end = reader.value((), _space(text, 0))
    if _space(text, end) != len(text):
        raise reader.broken(end)
    return reader.places


def _space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.places: list[Place] = []

    def broken(self, place: int) -> NotReadable:
        return NotReadable("is not JSON", where=f"character {place}", hint="send a valid JSON document")

    def value(self, path: tuple[str | int, ...], start: int, entry: int = -1) -> int:
        """Read the value at `start`; returns the offset behind it."""
        if len(path) > _DEEPEST:
            raise NotReadable(f"JSON nested more than {_DEEPEST} deep cannot be looked into")
        sign = self.text[start : start + 1]
        if sign == "{":
            end = self._members(path, start)
        elif sign == "[":
            end = self._items(path, start)
        elif sign == '"':
            end = self._string(start)[1]
        else:
            found = _SCALAR.match(self.text, start)
            if found is None:
                raise self.broken(start)
            end = found.end()
        self.places.append(Place(path, start, end, start if entry < 0 else entry))
        return end

    def _string(self, start: int) -> tuple[str, int]:
        found = _STRING.match(self.text, start)
        try:
            return str(json.loads(found[0] if found else "")), found.end() if found else start
        except ValueError as error:
            raise self.broken(start) from error

    def _members(self, path: tuple[str | int, ...], start: int) -> int:
        place = _space(self.text, start + 1)
        if self.text.startswith("}", place):
            return place + 1
        while True:
            if not self.text.startswith('"', place):
                raise self.broken(place)
            entry = place
            key, place = self._string(place)
            place = _space(self.text, place)
            if not self.text.startswith(":", place):
                raise self.broken(place)
            place = _space(self.text, self.value((*path, key), _space(self.text, place + 1), entry))
            if self.text.startswith("}", place):
                return place + 1
            if not self.text.startswith(",", place):
                raise self.broken(place)
            place = _space(self.text, place + 1)

    def _items(self, path: tuple[str | int, ...], start: int) -> int:
        place, number = _space(self.text, start + 1), 0
        if self.text.startswith("]", place):
            return place + 1
        while True:
            place = _space(self.text, self.value((*path, number), place))
            number += 1
            if self.text.startswith("]", place):
                return place + 1
            if not self.text.startswith(",", place):
                raise self.broken(place)
            place = _space(self.text, place + 1)
