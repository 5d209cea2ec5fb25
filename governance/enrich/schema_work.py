"""How much work holding a value against a JSON Schema may be, counted before it is done.

Schemas that refer to one another double with each step: forty short definitions, each of them twice the one before, are a
million million visits of one value. Counted is how often, at most, one place of the value is looked at: what applies to a place
itself (`allOf`, `anyOf`, `$ref` …) adds up, of the members of an object only one is the place (`properties`), and a schema that
refers to itself goes as deep as a value may be.

Followed are references within one document. A part with an `$id` of its own would be another one, in which `#` and every path
and name mean something else; there is no such part.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

MOST_VISITS = 10_000
"""Of one place of a value."""
MOST_WORK = 5_000_000
"""Visits of all places of one value: two seconds of a slow machine."""
# No body that is read is nested deeper.
_DEEPEST = 64
_HERE_LISTS = ("allOf", "anyOf", "oneOf")
_HERE = ("not", "if", "then", "else")
_HERE_MAPS = ("dependentSchemas", "dependencies")
_BELOW_MAPS = ("properties", "patternProperties")
_BELOW = (
    "additionalProperties", "unevaluatedProperties", "propertyNames",
    "prefixItems", "items", "additionalItems", "unevaluatedItems", "contains",
)  # fmt: skip
_KEPT_MAPS = ("$defs", "definitions")
_KEPT = ("contentSchema",)
# Draft 4 says `id`; up to draft 7 both are anchors where they begin with `#`.
_IDS = ("$id", "id")
_NAMES = ("$anchor", "$dynamicAnchor", *_IDS)
_INDEX = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class TooMuchWork(CallerError):
    """A schema that nothing could be held against, or not for a price that can be told beforehand."""

    code = "bad_schema"


def visits(schema: Json) -> int:
    """How often one place may be looked at, at most. Raises TooMuchWork beyond `MOST_VISITS`."""
    try:
        return _Counted(schema).at(schema, _DEEPEST)
    except RecursionError as error:
        raise TooMuchWork("a schema is nested too deeply to be held against") from error


def places(value: Json) -> int:
    """How many places a value has."""
    found, todo = 0, [value]
    while todo:
        node = todo.pop()
        found += 1
        if isinstance(node, dict):
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return found


def is_affordable(of_one_place: int, value: Json) -> bool:
    """Whether a value may be held against a schema that looks at one place so often (`visits`)."""
    return of_one_place * places(value) <= MOST_WORK


class _Counted:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._named: dict[str, list[Json]] = {}
        self._known: dict[tuple[int, int], int] = {}
        self._open: set[tuple[int, int]] = set()
        self._find_names(root)
        self._find_documents(root)

    def at(self, schema: Json, deep: int) -> int:
        """Visits below one visit by this schema, with so many levels of the value to go."""
        if not isinstance(schema, dict) or deep == 0:
            return 1
        self._same_document(schema)
        key = id(schema), deep
        if key in self._open:
            raise TooMuchWork(
                "a schema refers to itself without a step into the value", hint="JSON Schema 2020-12, 9.4.1"
            )
        if key not in self._known:
            self._open.add(key)
            found = 1 + sum(self.at(one, deep) for one in self._here(schema)) + self._below(schema, deep - 1)
            self._open.remove(key)
            if found > MOST_VISITS:
                raise TooMuchWork("a schema refers to itself, or others, in more ways than can be followed")
            self._known[key] = found
        return self._known[key]

    def _here(self, schema: Json) -> Iterator[Json]:
        for name in _HERE_LISTS:
            yield from _list(schema, name)
        for name in _HERE:
            if name in schema:
                yield schema[name]
        for name in _HERE_MAPS:
            yield from _map(schema, name)
        for name in _REFERENCES:
            if name in schema:
                yield from self._referred(schema[name])

    def _below(self, schema: Json, deep: int) -> int:
        def of(*names: str) -> int:
            return max((self.at(one, deep) for name in names for one in _one_or_list(schema, name)), default=0)

        known = max((self.at(one, deep) for one in _map(schema, "properties")), default=0)
        known += sum(self.at(one, deep) for one in _map(schema, "patternProperties"))
        # What is left over is nothing of what is known; a name is a text, with nothing below it.
        names = self.at(schema["propertyNames"], 1) if "propertyNames" in schema else 0
        members = max(known, of("additionalProperties", "unevaluatedProperties")) + names
        return members + of("prefixItems", "items", "additionalItems", "unevaluatedItems") + of("contains")

    def _referred(self, reference: Json) -> list[Json]:
        """What a reference means in this document: by its path, or by a name that is given in it."""
        text = str(reference)
        if text == "#":
            return [self._root]
        if text.startswith("#/"):
            return [self._by_path(text[2:].split("/"))]
        name = text.removeprefix("#")
        found = self._named.get(name) if name != text and _NAME.fullmatch(name) else None
        if not found:
            raise TooMuchWork("a reference cannot be followed", hint="refer by #, #/$defs/name, or an anchor's name")
        return found

    def _by_path(self, steps: list[str]) -> Json:
        from urllib.parse import unquote

        node = self._root
        for step in steps:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and _INDEX.fullmatch(name) and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                raise TooMuchWork("a reference leads nowhere")
            # On the way, too: what reads a path is in another document from there.
            self._same_document(node)
        return node

    def _find_names(self, root: Json) -> None:
        todo = [root]
        while todo:
            node = todo.pop()
            if isinstance(node, dict):
                for name in _NAMES:
                    if isinstance(node.get(name), str):
                        self._named.setdefault(node[name].removeprefix("#"), []).append(node)
                todo.extend(node.values())
            elif isinstance(node, list):
                todo.extend(node)

    def _find_documents(self, root: Json) -> None:
        """Also where nothing refers to: one that has the root's own `$id` would be read in its stead."""
        todo = [root]
        while todo:
            node = todo.pop()
            if isinstance(node, dict):
                self._same_document(node)
                todo.extend(_parts(node))

    def _same_document(self, node: Json) -> None:
        if node is self._root or not isinstance(node, dict):
            return
        if any(isinstance(node.get(name), str) and not node[name].startswith("#") for name in _IDS):
            raise TooMuchWork(
                "a part of a schema has an $id of its own", hint="leave it out, and refer to the part by #/$defs/name"
            )


def _parts(schema: dict[str, Json]) -> Iterator[Json]:
    """The schemas right below one, by any draft; what is a value (`default`, `const` …) holds none."""
    for name in (*_HERE_LISTS, *_HERE, *_BELOW, *_KEPT):
        yield from _one_or_list(schema, name)
    for name in (*_HERE_MAPS, *_BELOW_MAPS, *_KEPT_MAPS):
        yield from _map(schema, name)


def _list(schema: Json, name: str) -> list[Json]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _one_or_list(schema: Json, name: str) -> list[Json]:
    found = schema.get(name)
    return found if isinstance(found, list) else [] if found is None else [found]


def _map(schema: Json, name: str) -> list[Json]:
    found = schema.get(name)
    return list(found.values()) if isinstance(found, dict) else []
