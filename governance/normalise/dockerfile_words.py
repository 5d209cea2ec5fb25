"""The words of one instruction of a Dockerfile: its flags, its JSON form, its variables, as BuildKit takes them apart."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAG = re.compile(r"(--(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\\.|[^\s\"'\\])*)(?:\s+|$)", re.DOTALL)
_PAIR = re.compile(r"([^\s=\"']+)=((?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'\\])*)(?:\s+|$)", re.DOTALL)
_BARE_NAME = re.compile(r"([^\s=\"'\\]+)(?:\s+|$)")
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+])([^}$]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")


def first_word(text: str) -> tuple[str, str]:
    """The first word, and what follows it without white space around it."""
    parts = text.split(None, 1)
    return (parts[0], parts[1].strip() if len(parts) > 1 else "") if parts else ("", "")


def flags_of(rest: str, where: str) -> tuple[dict[str, list[str]], str]:
    """Flags as BuildKit takes them apart, quotes and backslashes gone wherever they stand; and what follows them.

    Source: extractBuilderFlags in moby/buildkit, frontend/dockerfile/parser/line_parsers.go.
    """
    flags: dict[str, list[str]] = {}
    while rest.startswith("--"):
        found = _FLAG.match(rest)
        if found is None:
            raise CallerError("a flag cannot be read: its quotes do not match", where=where)
        rest = rest[found.end() :]
        word = _plain(found[1])
        if word == "--":
            break
        name, equals, value = word[2:].partition("=")
        flags.setdefault(name, []).append(value if equals else "true")
    return flags, rest


def _plain(word: str) -> str:
    kept: list[str] = []
    quote = ""
    characters = iter(word)
    for char in characters:
        if char == "\\":
            kept.append(next(characters, ""))
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        else:
            kept.append(char)
    return "".join(kept)


def mount_members(value: str, where: str) -> list[str]:
    """The members of a mount, which BuildKit reads as a row of CSV."""
    try:
        (row,) = csv.reader([value], strict=True)
    except (csv.Error, ValueError) as error:
        raise CallerError("a mount cannot be read: its quotes do not match", where=where) from error
    return row


def json_words(rest: str) -> list[str] | None:
    """The JSON form; anything that is not a list of texts is the shell form, as the builder has it."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    is_form = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if is_form else None


def variables_of(name: str, rest: str, where: str) -> dict[str, str | None]:
    """`ENV a=b c="d"`, the older `ENV a b c`, `ARG a b=c`; None where an ARG has no default."""
    first, equals, _ = rest.partition("=")
    if name == "ENV" and (not equals or any(char.isspace() for char in first)):
        key, value = first_word(rest)
        if not value:
            raise CallerError("ENV needs a name and a value", where=where)
        return {key: value}
    found: dict[str, str | None] = {}
    at = 0
    while at < len(rest):
        pair = _PAIR.match(rest, at)
        if pair is not None:
            found[_unquoted(pair[1])] = _unquoted(pair[2])
            at = pair.end()
            continue
        bare = _BARE_NAME.match(rest, at)
        if name != "ARG" or bare is None:
            raise CallerError(f"{name} cannot be read: quotes do not match, or a name has no value", where=where)
        found[bare[1]] = None
        at = bare.end()
    return found


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def expanded(text: str, scope: Mapping[str, str]) -> str:
    """Variables filled in from defaults, once; one that nothing gives a value stays as it is written."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[4]
        if found[2] == "+":
            return found[3] if name in scope else ""
        known = scope.get(name)
        if known:
            return known
        return found[3] if found[2] == "-" else found[0]

    return _REFERENCE.sub(value, text) if "$" in text else text
