"""YAML data of a bundle, read as OPA reads it: YAML 1.2 words, 1.1 octals, dates and `yes` as text.

PyYAML's own resolver would read `no` as false where OPA reads a text: the same bundle would mean two things.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from governance.model.request import Json

_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PREFIXES = {"0x": 16, "0b": 2, "0o": 8}
_DEEPEST = 128
_UINT64, _INT64 = 1 << 64, -(1 << 63)


def load_data(raw: bytes) -> Json:
    """The one document in `raw`; raises yaml.YAMLError for what is not YAML or no JSON value."""
    refuse_deep(raw)
    return yaml.load(raw, Loader=_Reader)  # noqa: S506  a safe loader with other scalars


def refuse_deep(raw: bytes | str) -> None:
    """Raise yaml.YAMLError for a text nested so deep that building it would overflow the C stack, and end the process."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            mark: Any = event.start_mark
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {_DEEPEST}", mark)


class _Reader(yaml.CSafeLoader):
    """Builds nothing but JSON values."""


def _scalar(loader: _Reader, node: yaml.ScalarNode) -> Json:
    text = str(loader.construct_scalar(node))
    if node.style is not None and node.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    return _number(text, node)


def _number(text: str, node: yaml.ScalarNode) -> Json:
    plain = text.replace("_", "")
    if plain[:1].isdigit() or plain[:1] in {"+", "-", "."}:
        if _INT.fullmatch(plain):
            value = _integer(plain)
            return value if _INT64 <= value < _UINT64 else float(value)
        if _FLOAT.fullmatch(plain):
            return _finite(plain, node)
        if plain.lstrip("+-").lower() in {".nan", ".inf"}:
            raise yaml.constructor.ConstructorError(None, None, "holds NaN or an infinity", node.start_mark)
    return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    base = _PREFIXES.get(digits[:2])
    if base is not None:
        return sign * int(digits[2:], base)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)


def _finite(text: str, node: yaml.ScalarNode) -> float | int:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise yaml.constructor.ConstructorError(None, None, "holds a number out of range", node.start_mark)
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _mapping(loader: _Reader, node: yaml.MappingNode) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in node.value:
        name = loader.construct_object(key, deep=True)
        name = name if isinstance(name, str) else key.value
        if not isinstance(key, yaml.ScalarNode) or name == "<<" or name in found:
            raise yaml.constructor.ConstructorError(
                None, None, "a merge, a second member of one name, or a name that is no text", key.start_mark
            )
        found[name] = loader.construct_object(value, deep=True)
    return found


def _sequence(loader: _Reader, node: yaml.SequenceNode) -> list[Json]:
    return [loader.construct_object(item, deep=True) for item in node.value]


def _tagged(_loader: _Reader, node: Any) -> Json:
    raise yaml.constructor.ConstructorError(None, None, f"tag {node.tag!r} is not data", node.start_mark)


for _tag in ("bool", "int", "float", "null", "timestamp", "str", "merge", "value"):
    _Reader.add_constructor(f"tag:yaml.org,2002:{_tag}", _scalar)
_Reader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Reader.add_constructor("tag:yaml.org,2002:seq", _sequence)
_Reader.add_constructor(None, _tagged)
