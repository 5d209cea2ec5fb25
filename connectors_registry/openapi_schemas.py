"""Schemas of an OpenAPI 3.1 file as a registry entry has them: whole, without references, and never stricter than the file.

Kept is what the rest of the program checks: types, members, required ones, items, lengths, enumerations. What that cannot say
(alternatives, null beside another type, conditions) is left out, and so are patterns: a vendor's expression would run on every
payload. References lead to places of the same file only. One that leads to itself, or too deep, ends in a schema that allows
everything; an operation whose schemas are too large goes without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from connectors_registry.load import BadEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {"integer": "number", **{name: name for name in ("object", "array", "string", "number", "boolean")}}
# How deep schemas are followed, how long a chain of references may be, and how much of them is kept, in characters.
_DEEPEST, _LONGEST_CHAIN = 12, 32
_MOST_OF_ONE, _MOST = 100_000, 300_000
_COUNTS = ("maxItems", "minLength", "maxLength")
# What a format says about the class of a field; everything else is its owner's to say.
_FORMATS = {"email": ("personal", "email"), "ipv4": ("personal", "ip_address"), "ipv6": ("personal", "ip_address")}
UNCLASSIFIED = "unclassified"
"""The class of a field before anybody has said it; no rule lets such a document be approved."""


class TooMuch(Exception):
    """The schemas of an operation are larger than what is kept."""


class _Place(NamedTuple):
    """Where in the file a schema stands, and through which references it was reached."""

    where: str
    depth: int = 0
    through: tuple[str, ...] = ()

    def below(self, *parts: str) -> _Place:
        escaped = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
        return self._replace(where=self.where + escaped, depth=self.depth + 1)


class Schemas:
    """The schemas of one file; remembers how much of them was kept."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._left = _MOST
        self._left_of_one = 0

    def begin(self) -> None:
        """Another operation begins."""
        self._left_of_one = min(_MOST_OF_ONE, self._left)

    def of(self, schema: Any, where: str, *, hides: str) -> dict[str, Any]:
        """A schema of its own. `hides`: `readOnly` in requests and `writeOnly` in answers: members that need not be there.

        Raises TooMuch, and BadEntry by place for a reference that leads out of the file, or nowhere, and for what is none.
        """
        return self._kept(schema, _Place(where), hides)

    def resolved(self, value: Any, where: str) -> Any:
        """The thing itself, where a reference to it stands."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(value, dict) or "$ref" not in value:
                return value
            value = self._at(value["$ref"], where)
        raise BadEntry(f"{where}: its references lead in a circle")

    def _kept(self, schema: Any, place: _Place, hides: str) -> dict[str, Any]:
        if isinstance(schema, bool):
            return {} if schema else {"enum": []}
        if not isinstance(schema, dict):
            raise BadEntry(f"{place.where}: not a schema")
        self._spend(24)
        if place.depth > _DEEPEST:
            return {}
        return _merged([self._own(schema, place, hides), *self._parts(schema, place, hides)])

    def _parts(self, schema: dict[str, Any], place: _Place, hides: str) -> Iterator[dict[str, Any]]:
        """What a schema has from elsewhere: by reference, and by `allOf`."""
        for name in ("$dynamicRef", "$id"):
            if name in schema:
                raise BadEntry(
                    f"{place.where}/{name}: makes references mean something else; bundle the file without it"
                )
        if "$ref" in schema:
            name = schema["$ref"]
            target = self._at(name, f"{place.where}/$ref")
            if name in place.through or len(place.through) > _LONGEST_CHAIN:
                yield {}
            else:
                yield self._kept(target, place._replace(where=name[1:], through=(*place.through, name)), hides)
        every = schema.get("allOf", [])
        if not isinstance(every, list):
            raise BadEntry(f"{place.where}/allOf: not a list")
        for index, one in enumerate(every):
            yield self._kept(one, place.below("allOf", str(index)), hides)

    def _own(self, schema: dict[str, Any], place: _Place, hides: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        kind = schema.get("type")
        if isinstance(kind, str) and kind in _TYPES and schema.get("nullable") is not True:
            kept["type"] = _TYPES[kind]
        for name in _COUNTS:
            if _is_count(schema.get(name)):
                kept[name] = schema[name]
        if isinstance(schema.get("minimum"), int | float) and not isinstance(schema["minimum"], bool):
            kept["minimum"] = schema["minimum"]
        named = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(named, list) and all(isinstance(one, str | int | float | bool) for one in named):
            self._spend(sum(len(str(one)) for one in named))
            kept |= {"const": named[0]} if "const" in schema else {"enum": named}
        if "items" in schema and "prefixItems" not in schema:
            kept["items"] = self._kept(schema["items"], place.below("items"), hides)
        return kept | self._members(schema, place, hides)

    def _members(self, schema: dict[str, Any], place: _Place, hides: str) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise BadEntry(f"{place.where}: properties is no object, or required no list")
        kept: dict[str, Any] = {}
        for name, one in properties.items():
            self._spend(len(name))
            kept[name] = self._kept(one, place.below("properties", name), hides)
        hidden = {name for name, one in properties.items() if self._is_hidden(one, place, hides)}
        found: dict[str, Any] = {"properties": kept} if kept else {}
        needed = [name for name in required if isinstance(name, str) and name not in hidden]
        self._spend(sum(map(len, needed)))
        if needed:
            found["required"] = needed
        if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
            found["additionalProperties"] = False
        return found

    def _is_hidden(self, schema: Any, place: _Place, hides: str) -> bool:
        if isinstance(schema, dict) and hides not in schema and "$ref" in schema:
            schema = self.resolved(schema, place.where)
        return isinstance(schema, dict) and schema.get(hides) is True

    def _spend(self, characters: int) -> None:
        self._left -= characters
        self._left_of_one -= characters
        if self._left_of_one < 0:
            raise TooMuch

    def _at(self, reference: Any, where: str) -> Any:
        """What stands at a reference within this file (RFC 6901, in a fragment)."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise BadEntry(f"{where}: {str(reference)[:80]!r} leads out of this file; bundle it into one first")
        found: Any = self._document
        for part in reference[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise BadEntry(f"{where}: nothing stands at {reference[:80]!r}")
        return found


def fields_of(schema: Any, document: Schemas, where: str) -> dict[str, tuple[str, str]]:
    """`{member: (class, kind of personal data)}` of an answer's members that hold values.

    Unclassified unless a format says it, wherever the member stands. Each schema of the file is looked at once.
    """
    found: dict[str, tuple[str, str]] = {}
    todo = [schema]
    looked: set[int] = set()
    while todo:
        one = document.resolved(todo.pop(), where)
        if not isinstance(one, dict) or id(one) in looked:
            continue
        looked.add(id(one))
        for name, member in _object(one.get("properties")).items():
            about = document.resolved(member, where)
            if isinstance(about, dict) and not _holds_others(about):
                said = _FORMATS.get(str(about.get("format")), (UNCLASSIFIED, ""))
                found[name] = min(found.get(name, said), said, key=lambda one: one[0] != UNCLASSIFIED)
            todo.append(member)
        todo.extend(one[key] for key in ("items", "additionalProperties") if key in one)
        for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            todo.extend(one[key] if isinstance(one.get(key), list) else ())
    return found


def _holds_others(schema: dict[str, Any]) -> bool:
    return bool({"properties", "items", "allOf", "anyOf", "oneOf", "additionalProperties"} & set(schema))


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema that allows at least what all of `parts` do: of two words about the same thing the first is kept."""
    found: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if name == "properties":
                found[name] = {**value, **found.get(name, {})}
            elif name == "required":
                found[name] = list(dict.fromkeys([*found.get(name, []), *value]))
            else:
                found.setdefault(name, value)
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
