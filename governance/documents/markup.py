"""XML as leaves, by expat with document types and entities refused: what they expand to, nobody has looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from governance.documents.leaves import Leaf, NotReadable

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST = 256
_ATTRIBUTE = re.compile(r"""([^\s=<>"'/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def xml_leaves(text: str, path: tuple[str | int, ...]) -> list[Leaf]:
    """Text, attributes and comments; `within` is the element's names and its place among its siblings. Raises NotReadable."""
    reader = _Reader(text, path)
    parser = expat.ParserCreate("utf-8", namespace_separator=None)
    parser.buffer_text = False
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.CommentHandler = reader.comment
    parser.ProcessingInstructionHandler = reader.instruction
    reader.parser = parser
    try:
        parser.Parse(reader.raw, True)
    except expat.ExpatError as error:
        raise NotReadable(f"is no XML: {error}", where=f"line {error.lineno}", hint="send well-formed XML") from error
    reader.flush()
    return reader.leaves


def _refuse(*_: object) -> None:
    raise NotReadable("XML with a document type or entities cannot be looked into", hint="send it without DOCTYPE")


class _Reader:
    """What the parser calls; offsets are of characters."""

    parser: expat.XMLParserType

    def __init__(self, text: str, path: tuple[str | int, ...]) -> None:
        self.text = text
        self.raw = text.encode("utf-8", "surrogatepass")
        self.leaves: list[Leaf] = []
        self._path = path
        self._ascii = text.isascii()
        self._stack: list[tuple[str, dict[str, int]]] = [("", {})]
        self._within: list[str | int] = []
        self._parts: list[str] = []
        self._start = 0
        self._last = (0, 0)

    def _offset(self) -> int:
        byte = self.parser.CurrentByteIndex
        if self._ascii:
            return byte
        before, chars = self._last  # counted on from the event before: one pass over the text in all
        chars += len(self.raw[before:byte].decode("utf-8", "replace"))
        self._last = (byte, chars)
        return chars

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        at = self._offset()
        self.flush(at)
        if len(self._stack) > _DEEPEST:
            raise NotReadable(f"XML nested more than {_DEEPEST} deep cannot be looked into")
        seen = self._stack[-1][1]
        seen[name] = seen.get(name, 0) + 1
        self._within += [name, seen[name] - 1]
        self._stack.append((name, {}))
        if attributes:
            self._attributes(at, attributes)

    def _attributes(self, at: int, attributes: Mapping[str, str]) -> None:
        place = at
        for name, value in attributes.items():
            found = _ATTRIBUTE.search(self.text, place)
            while found is not None and found[1] != name:
                found = _ATTRIBUTE.search(self.text, found.end())
            if found is None:
                raise NotReadable(f"the attribute {name[:40]!r} was not found where the parser saw it")
            group = 2 if found[2] is not None else 3
            place = found.end()
            exact = found[group] == value
            within = (*self._within, "@" + name)
            self.leaves.append(Leaf(self._path, name, value, within, found.span(group), exact))

    def end(self, _name: str) -> None:
        self.flush(self._offset())
        self._stack.pop()
        del self._within[-2:]

    def characters(self, data: str) -> None:
        if not self._parts:
            self._start = self._offset()
        self._parts.append(data)

    def comment(self, data: str) -> None:
        # No flush: what stands before and behind a comment is one text to whoever reads it.
        at = self._offset()
        self._add(data, at + 4, at + 4 + len(data))

    def instruction(self, target: str, data: str) -> None:
        at = self._offset()
        start = self.text.find(data, at + 2 + len(target)) if data else at
        self._add(data, start, start + len(data))

    def flush(self, end: int | None = None) -> None:
        if self._parts:
            value, self._parts = "".join(self._parts), []
            stop = len(self.text) if end is None else end
            if value.strip():
                self._add(value, self._start, stop)

    def _add(self, value: str, start: int, end: int) -> None:
        name = self._stack[-1][0].rpartition(":")[2]
        exact = self.text[start:end] == value
        self.leaves.append(Leaf(self._path, name, value, tuple(self._within), (start, end), exact))
