"""YAML and JSON text to plain values, strictly: what two readers would read differently is refused.

The fast reader (ryaml, YAML 1.2) decides. Kubernetes tools read YAML 1.1, where `no` is false and `1:30` is ninety; a
plain scalar of that sort is refused and has to be quoted. Tags, duplicate keys, merge keys, keys that are not text, NaN and
infinities, and aliases that explode are refused too. Positions are found only when somebody needs them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from governance.errors import CallerError, TooLarge

if TYPE_CHECKING:
    import yaml

    from governance.model.request import Json

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
# Aliases may make a small text a large document: this many nodes is far beyond any manifest.
MAX_NODES = 100_000

# Plain scalars that YAML 1.1 resolves to something else than 1.2 does.
_AMBIGUOUS = re.compile(
    r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|[-+]?0[0-7_]+|0o[0-7]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*|[-+]?0b[01_]+|[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+)"
)
_MAYBE_AMBIGUOUS = re.compile(rf"(?:^|[\s:\-,\[{{]){_AMBIGUOUS.pattern}\s*(?:$|[,\]}}#\n:])", re.MULTILINE)


class Document(NamedTuple):
    """One document of a file."""

    value: Json
    file: str
    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    """Which document of the file, from 0."""
    text: str
    """The whole file."""
    form: str
    """`yaml`, `json` or `dockerfile`: how places in it are found."""


def read_documents(raw: bytes, file: str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> list[Document]:
    """Every document of a file; empty ones are left out. Raises CallerError or TooLarge naming file and line."""
    text = decoded(raw, file, max_bytes)
    # Who allows larger files (a Terraform plan) allows more in them.
    max_nodes = max(MAX_NODES, max_bytes // 8)
    if text.lstrip()[:1] in {"{", "["} and _looks_like_json(file, text):
        values = [read_json(text, file, max_depth=max_depth, max_nodes=max_nodes)]
        return [Document(values[0], file, 0, text, "json")]
    values = _read_yaml(text, file)
    documents = []
    for index, value in enumerate(values):
        if value is None:
            continue
        check_value(value, file, max_depth, max_nodes)
        documents.append(Document(value, file, index, text, "yaml"))
    return documents


def decoded(raw: bytes, file: str, max_bytes: int = MAX_BYTES) -> str:
    """UTF-8 text, without a byte order mark; refuses NUL and what is too large."""
    if len(raw) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes", where=file, hint="GOVERNANCE_MAX_BODY_BYTES sets the limit")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallerError(f"not UTF-8: byte {error.start}", where=file) from error
    if "\0" in text:
        raise CallerError("holds a NUL character", where=file)
    return text.removeprefix("\ufeff")


def read_json(text: str, file: str, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> Json:
    """Strict JSON: no duplicate member, no NaN, no infinity, no lone surrogate, not too deep."""
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_refused_constant)
    except json.JSONDecodeError as error:
        raise CallerError(f"not JSON: {error.msg}", where=f"{file}:{error.lineno}:{error.colno}") from error
    except RecursionError as error:
        raise TooLarge(f"nested deeper than {max_depth}", where=file) from error
    except ValueError as error:
        raise CallerError(f"not JSON: {error}", where=file, hint=_name_of(error)) from error
    check_value(value, file, max_depth, max_nodes)
    return value


def check_value(value: Json, file: str, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> None:
    """Depth, size and what JSON cannot hold; without recursion, so that no document can exhaust the stack."""
    todo: list[tuple[Json, int]] = [(value, 1)]
    seen = 0
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > max_nodes:
            raise TooLarge(f"more than {max_nodes} values, aliases counted each time", where=file)
        if isinstance(node, dict):
            _check_depth(depth, max_depth, file)
            for key, item in node.items():
                _check_key(key, file)
                todo.append((item, depth + 1))
        elif isinstance(node, list):
            _check_depth(depth, max_depth, file)
            todo.extend((item, depth + 1) for item in node)
        elif isinstance(node, float) and (node != node or node in {float("inf"), float("-inf")}):  # noqa: PLR0124
            raise CallerError("holds NaN or an infinity, which JSON has not", where=file)
        elif isinstance(node, str):
            _check_text(node, file)


def _check_depth(depth: int, max_depth: int, file: str) -> None:
    if depth > max_depth:
        raise TooLarge(f"nested deeper than {max_depth}", where=file)


def _check_key(key: object, file: str) -> None:
    if not isinstance(key, str):
        raise CallerError(f"member name {key!r} is not text", where=file, hint="put it in quotes")
    if key == "<<":
        raise CallerError("merge keys (<<) are read differently by different tools", where=file, hint="write them out")
    _check_text(key, file)


def _check_text(text: str, file: str) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise CallerError("holds half of a surrogate pair, which is no character", where=file)


def _looks_like_json(file: str, text: str) -> bool:
    """A flow mapping is YAML as well; only what is named JSON or ends like it goes to the JSON reader."""
    return file.endswith(".json") or (not file.endswith((".yaml", ".yml")) and text.rstrip()[-1:] in {"}", "]"})


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Twice(twice)
    return members


class _Twice(ValueError):
    """A name that stands twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__("a member stands twice in one object")
        self.name = name


def _name_of(error: ValueError) -> str:
    """Which name it is, as a hint: whoever reads somebody else's document passes on the message alone."""
    return f"it is called {error.name[:60]!r}" if isinstance(error, _Twice) else ""


def _refused_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_yaml(text: str, file: str) -> list[Json]:
    import ryaml  # only where there is YAML

    try:
        values = ryaml.loads_all(text) if text.strip() else []
    except (ryaml.InvalidYamlError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CallerError(f"not YAML: {reason}", where=f"{file}{_line_in(reason)}") from error
    if "!" in text or _MAYBE_AMBIGUOUS.search(text):
        _refuse_ambiguous(text, file)
    return values if isinstance(values, list) else [values]


def _line_in(reason: str) -> str:
    found = re.search(r"at line (\d+) column (\d+)", reason)
    return f":{found[1]}:{found[2]}" if found else ""


def _is_trigger_key(event: yaml.ScalarEvent, text: str) -> bool:
    """`on:` at the left margin: how every GitHub Actions workflow names its triggers, and no manifest has such a member."""
    mark, end = event.start_mark, event.end_mark
    if event.value != "on" or mark is None or end is None:
        return False
    return mark.column == 0 and text[end.index : end.index + 1] == ":"


def _refuse_ambiguous(text: str, file: str) -> None:
    """Look at the scalars themselves: the text may only stand in a comment, a quote or a block."""
    import yaml

    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
                place = f"{file}:{event.start_mark.line + 1}" if event.start_mark else file
                raise CallerError(f"tag {event.tag[:60]!r} is no plain data", where=place, hint="leave it out")
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and _AMBIGUOUS.fullmatch(event.value):
                mark = event.start_mark
                if _is_trigger_key(event, text):
                    continue
                raise CallerError(
                    f"{event.value!r} is read differently by different tools",
                    where=f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file,
                    hint="put it in quotes, or write true, false or a plain number",
                )
    except yaml.YAMLError as error:
        raise CallerError("two YAML readers disagree on whether this is YAML", where=file) from error
