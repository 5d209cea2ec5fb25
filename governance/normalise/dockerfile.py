"""A Dockerfile or Containerfile as rules read it: instructions, stages, variables. Nothing in it is run or fetched.

Reads what BuildKit's own parser reads: parser directives, continuation lines (with another escape character too), comments
between them, here-documents, flags, the JSON form, ONBUILD. What that parser would refuse is refused with its line. Work is
linear in the size of the text. Source: docs.docker.com/reference/dockerfile.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, TooLarge
from governance.normalise.dockerfile_words import (
    expanded,
    first_word,
    flags_of,
    json_words,
    mount_members,
    variables_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from governance.model.request import Json

MAX_INSTRUCTIONS = 2_000
_NAMES = frozenset({
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
})  # fmt: skip
_WITH_HEREDOC = frozenset({"RUN", "COPY", "ADD"})
_WITH_JSON = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "ADD", "VOLUME"})
_FRONTEND = re.compile(r"#\s*syntax\s*=\s*(.*?)\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]{0,30})[ \t]*=[ \t]*(.+?)[ \t]*")
_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]+)")
# Words as a shell has them: white space parts them, except in quotes. What is left over is a quote without an end.
_SHELL_WORD = re.compile(r"\s*((?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'\\])+)", re.DOTALL)
_QUOTING = str.maketrans("", "", "\"'\\")


class Logical(NamedTuple):
    """One instruction with its continuation lines joined."""

    line: int
    """Of its first line, from 1."""
    column: int
    text: str
    heredocs: tuple[str, ...]


class Parsed(NamedTuple):
    """A file that was understood."""

    resource: dict[str, Json]
    """`{instructions[], stages[], images[], frontend?}`.

    - `instructions`: `{name, stage, text?, flags{name: [values]}, exec[]?, sources[]?, heredocs[]?, variables{}?, onbuild?}`;
      `stage` is -1 before the first FROM, a variable without a default is null
    - `stages`: `{name, image, from_stage, instruction, user?{value, instruction}}`; `image` with the defaults of ARGs filled
      in, `from_stage` the index of the earlier stage it builds on or null, `user` who it runs as if anything says so
    - `images`: `{image, instruction}`: other images that a COPY or a mount takes files from
    - `frontend`: the image that `# syntax=` has read the file in the builder's place
    """
    lines: tuple[tuple[int, int], ...]
    """Line and column of each instruction."""


def parsed(text: str, file: str) -> Parsed:
    """Raises CallerError with file and line for what a builder would refuse."""
    text = text.removeprefix("\ufeff")
    reader = _Reader(file)
    lines: list[tuple[int, int]] = []
    for logical in _logical_lines(text, file):
        if len(lines) == MAX_INSTRUCTIONS:
            raise TooLarge(f"more than {MAX_INSTRUCTIONS} instructions", where=f"{file}:{logical.line}")
        reader.add(logical)
        lines.append((logical.line, logical.column))
    if not reader.stages:
        raise CallerError("has no FROM, so nothing can be built from it", where=f"{file}:1")
    resource: dict[str, Json] = {
        "instructions": reader.instructions,
        "stages": reader.stages,
        "images": reader.images,
    }
    frontend = _frontend(text)
    if frontend is not None:
        resource["frontend"] = frontend
    return Parsed(resource, tuple(lines))


def place_in(lines: tuple[tuple[int, int], ...], resource: Json, segments: list[str]) -> tuple[int, int]:
    """Line and column of the instruction that a pointer into the resource lies in; 1, 1 for the whole of it."""
    if len(segments) < 2 or not segments[1].isdigit():
        return 1, 1
    group, index = resource.get(segments[0], []), int(segments[1])
    if index >= len(group):
        return 1, 1
    return lines[index if segments[0] == "instructions" else group[index]["instruction"]]


def _logical_lines(text: str, file: str) -> Iterator[Logical]:
    rows = text.replace("\r\n", "\n").split("\n")
    escape = _escape_character(rows, file)
    at = 0
    while at < len(rows):
        first = rows[at]
        if not first.strip() or first.lstrip().startswith("#"):
            at += 1
            continue
        start = at
        pieces: list[str] = []
        while at < len(rows):
            row = rows[at]
            at += 1
            # A comment or an empty line between continuation lines is left out, as the builder does.
            if at - 1 > start and (not row.strip() or row.lstrip().startswith("#")):
                continue
            more = _is_continued(row, escape)
            pieces.append(row.rstrip(" \t")[:-1] if more else row)
            if not more:
                break
        joined = "".join(pieces).strip()
        heredocs: list[str] = []
        where = f"{file}:{start + 1}"
        for strip_tabs, end in _heredocs_of(joined, where):
            body, at = _heredoc(rows, at, end, strip_tabs=strip_tabs, where=where)
            heredocs.append(body)
        if joined:
            yield Logical(start + 1, len(first) - len(first.lstrip()) + 1, joined, tuple(heredocs))


def _escape_character(rows: list[str], file: str) -> str:
    """The directives at the very top; the first line that is none ends them."""
    seen: set[str] = set()
    escape = "\\"
    for number, row in enumerate(rows, 1):
        found = _DIRECTIVE.fullmatch(row.strip())
        if found is None:
            break
        name = found[1].lower()
        if name not in {"escape", "syntax", "check"}:
            break
        if name in seen:
            raise CallerError(f"the directive {name} stands twice", where=f"{file}:{number}")
        seen.add(name)
        if name == "escape":
            escape = found[2]
            if escape not in {"\\", "`"}:
                raise CallerError("the escape character is \\ or `", where=f"{file}:{number}")
    return escape


def _frontend(text: str) -> str | None:
    """What BuildKit runs to read the file. It looks behind a `#!` line too; which comment ends its search is not relied on."""
    for row in text.splitlines():
        if row.strip() and not row.lstrip().startswith("#"):
            return None
        found = _FRONTEND.fullmatch(row.strip())
        if found is not None:
            return found[1].split(None, 1)[0] if found[1] else ""
    return None


def _is_continued(row: str, escape: str) -> bool:
    stripped = row.rstrip(" \t")
    return stripped.endswith(escape) and not stripped[:-1].endswith(escape)


def _heredocs_of(text: str, where: str) -> list[tuple[bool, str]]:
    """(whether leading tabs go, the word that ends it) of every here-document that the line opens.

    `<<EOF` in quotes opens none: reading one there would hide the instructions that follow from every rule.
    """
    name, rest = first_word(text)
    if name.upper() == "ONBUILD":
        name, rest = first_word(rest)
    if name.upper() not in _WITH_HEREDOC or "<<" not in rest:
        return []
    found = []
    for word in _shell_words(rest, where):
        match = _HEREDOC.fullmatch(word)
        if match is not None and (end := match[2].translate(_QUOTING)):
            found.append((match[1] == "-", end))
    return found


def _shell_words(text: str, where: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _SHELL_WORD.match(text, at)
        if match is None:
            raise CallerError("a quote has no end, so nobody can say where a here-document starts", where=where)
        yield match[1]
        at = match.end()


def _heredoc(rows: list[str], at: int, end: str, *, strip_tabs: bool, where: str) -> tuple[str, int]:
    body: list[str] = []
    for number in range(at, len(rows)):
        row = rows[number].lstrip("\t") if strip_tabs else rows[number]
        if row == end:
            return "\n".join(body), number + 1
        body.append(row)
    raise CallerError(f"the here-document {end[:60]} has no end", where=where)


class _Reader:
    """Collects instructions; knows which variables and which stage each of them stands in."""

    def __init__(self, file: str) -> None:
        self.instructions: list[Json] = []
        self.stages: list[Json] = []
        self.images: list[Json] = []
        self._file = file
        self._globals: dict[str, str] = {}
        self._scope: dict[str, str] = {}
        self._environments: list[dict[str, str]] = []
        """What ENV set in each stage: a stage that builds on an earlier one has it too, and no ARG of it."""
        self._latest: dict[str, int] = {}

    def add(self, logical: Logical) -> None:
        """One more instruction."""
        where = f"{self._file}:{logical.line}"
        name, rest = first_word(logical.text)
        is_trigger = name.upper() == "ONBUILD"
        if is_trigger:
            name, rest = first_word(rest)
        name = name.upper()
        if name not in _NAMES or (is_trigger and name in {"ONBUILD", "FROM", "MAINTAINER"}):
            raise CallerError(f"{name[:20]!r} is no instruction", where=where)
        if not self.stages and name not in {"FROM", "ARG"}:
            raise CallerError(f"{name} stands before the first FROM", where=where)
        flags, rest = flags_of(rest, where) if name not in {"ARG", "ENV", "LABEL"} else ({}, rest)
        if not rest and name != "HEALTHCHECK":
            raise CallerError(f"{name} says nothing", where=where)
        entry: dict[str, Json] = {"name": name, "stage": len(self.stages) - 1 + (name == "FROM"), "flags": flags}
        if name in {"ARG", "ENV"}:
            entry["variables"] = variables_of(name, rest, where)
        else:
            entry["text"] = rest
        if logical.heredocs:
            entry["heredocs"] = list(logical.heredocs)
        if is_trigger:
            entry["onbuild"] = True
        words = json_words(rest) if name in _WITH_JSON else None
        if words is not None:
            entry["exec"] = words
        if name in {"ADD", "COPY"}:
            entry["sources"] = [expanded(w, self._scope) for w in (words or rest.translate(_QUOTING).split())[:-1]]
        self.instructions.append(entry)
        if not is_trigger:
            self._understand(name, rest, entry, where)
        self._outside_images(entry, where)

    def _understand(self, name: str, rest: str, entry: dict[str, Json], where: str) -> None:
        index = len(self.instructions) - 1
        if name == "FROM":
            self._stage(rest, index, where)
        elif name in {"ARG", "ENV"}:
            self._define(name, entry["variables"])
        elif name == "USER":
            value = expanded(rest.translate(_QUOTING), self._scope)
            self.stages[-1]["user"] = {"value": value, "instruction": index}

    def _stage(self, rest: str, index: int, where: str) -> None:
        words = rest.split()
        if not (len(words) == 1 or (len(words) == 3 and words[1].upper() == "AS")):
            raise CallerError("FROM takes an image, and AS with a name", where=where)
        image = expanded(words[0], self._globals)
        earlier = self._named(image)
        stage: dict[str, Json] = {
            "name": words[2].lower() if len(words) == 3 else "",
            "image": image,
            "from_stage": earlier,
            "instruction": index,
        }
        if earlier is not None and "user" in self.stages[earlier]:
            stage["user"] = dict(self.stages[earlier]["user"])
        self._environments.append({} if earlier is None else dict(self._environments[earlier]))
        self._scope = dict(self._environments[-1])
        if stage["name"]:
            self._latest[stage["name"]] = len(self.stages)
        self.stages.append(stage)

    def _named(self, name: str) -> int | None:
        """The latest earlier stage of that name."""
        return self._latest.get(name.lower())

    def _define(self, name: str, variables: Mapping[str, str | None]) -> None:
        scope = self._scope if self.stages else self._globals
        for key, value in variables.items():
            if value is not None:
                scope[key] = expanded(value, scope)
                if name == "ENV":
                    self._environments[-1][key] = scope[key]
            elif name == "ARG" and self.stages and key in self._globals:
                scope[key] = self._globals[key]

    def _outside_images(self, entry: dict[str, Json], where: str) -> None:
        index = len(self.instructions) - 1
        named = list(entry["flags"].get("from", []))
        for mount in entry["flags"].get("mount", []):
            pairs = [part.partition("=") for part in mount_members(mount, where)]
            named += [image for key, _, image in pairs if key.strip().lower() == "from"]
        for name in named:
            image = expanded(name, self._globals)
            is_stage = self._named(image) is not None or (image.isdigit() and int(image) < len(self.stages) - 1)
            if not is_stage:
                self.images.append({"image": image, "instruction": index})
