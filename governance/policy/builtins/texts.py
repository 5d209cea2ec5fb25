"""Text, array and set builtins that the engine lacks, those that only Rego v0 knows among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.policy.builtins.operands import BuiltinError

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.policy.builtins.operands import Value

# A template of more steps than this would outlast any budget.
_MOST_STEPS = 100_000
_ACTION = re.compile(r"\{\{(?P<trim>-\s)?(?P<text>.*?)(?P<end>\s-)?\}\}", re.DOTALL)
_FIELD = re.compile(r"\.(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?|\$\w*(?:\.[A-Za-z_]\w*)*")


def split_n(text: str, delimiter: str, count: float) -> list[str]:
    """The first `count` parts, or the last where it is negative."""
    if count != int(count):
        raise BuiltinError("strings.split_n: operand 3 must be an integer")
    parts = text.split(delimiter) if delimiter else list(text)
    n = int(count)
    return parts[:n] if n >= 0 else parts[n:]


def flatten(items: list[Value]) -> list[Value]:
    """Arrays in the array give way to their members, one level deep."""
    found: list[Value] = []
    for item in items:
        found.extend(item if isinstance(item, list | tuple) else [item])
    return found


def render_template(template: str, values: dict[str, Value]) -> str:
    """Go's text/template, as far as fields, `range`, `if`, `else`, `with` and variables go; the rest is an error."""
    nodes, rest = _block(_tokens(template), ())
    if rest:
        raise BuiltinError("strings.render_template: a block ends that never began")
    out: list[str] = []
    _Renderer(out).run(nodes, values, {"$": values})
    return "".join(out)


def all_true(items: list[Value] | set[Value]) -> bool:
    """Whether every member is true."""
    return all(item is True for item in items)


def any_true(items: list[Value] | set[Value]) -> bool:
    """Whether a member is true."""
    return any(item is True for item in items)


def set_diff(left: set[Value], right: set[Value]) -> set[Value]:
    """Members of the one that the other lacks."""
    return left - right


def _cast(kinds: type | tuple[type, ...], name: str) -> Callable[[Value], Value]:
    def cast(value: Value) -> Value:
        is_number_like = isinstance(value, bool) and kinds is not bool
        if not isinstance(value, kinds) or is_number_like:
            raise BuiltinError(f"cast_{name}: operand 1 is no {name}")
        return value

    return cast


def _cast_array(value: Value) -> list[Value]:
    if not isinstance(value, list | set | frozenset):
        raise BuiltinError("cast_array: operand 1 is no array or set")
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else value


# -- templates -----------------------------------------------------------------------------------------------------------

_Node = tuple[str, str, list["_Node"], list["_Node"]]
"""(kind, text, body, else): `text`, `value`, `range`, `if`, `with`."""


def _tokens(template: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    for action in _ACTION.finditer(template):
        text = template[at : action.start()]
        found.append(("text", text.rstrip() if action["trim"] else text))
        found.append(("action", action["text"].strip()))
        at = action.end()
        if action["end"]:
            at += len(template[at:]) - len(template[at:].lstrip())
    if "{{" in template[at:]:
        raise BuiltinError("strings.render_template: an action is not closed")
    found.append(("text", template[at:]))
    return found


def _block(tokens: list[tuple[str, str]], ends: tuple[str, ...]) -> tuple[list[_Node], list[tuple[str, str]]]:
    nodes: list[_Node] = []
    while tokens:
        (kind, text), tokens = tokens[0], tokens[1:]
        word, _, rest = text.partition(" ")
        if kind == "text":
            nodes.append(("text", text, [], []))
        elif word in ends:
            return nodes, [(kind, text), *tokens]
        elif word in {"range", "if", "with"}:
            body, tokens = _block(tokens, ("end", "else"))
            other: list[_Node] = []
            if tokens and tokens[0][1] == "else":
                other, tokens = _block(tokens[1:], ("end",))
            if not tokens:
                raise BuiltinError(f"strings.render_template: {word} without end")
            tokens = tokens[1:]
            nodes.append((word, rest.strip(), body, other))
        elif _FIELD.fullmatch(text):
            nodes.append(("value", text, [], []))
        else:
            raise BuiltinError(f"strings.render_template: {text[:40]!r} is not supported")
    if ends:
        raise BuiltinError("strings.render_template: a block is not closed")
    return nodes, tokens


class _Renderer:
    def __init__(self, out: list[str]) -> None:
        self._out = out
        self._steps = 0

    def run(self, nodes: list[_Node], dot: Value, names: dict[str, Value]) -> None:
        for kind, text, body, other in nodes:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise BuiltinError(f"strings.render_template: more than {_MOST_STEPS} steps")
            if kind == "text":
                self._out.append(text)
            elif kind == "value":
                self._out.append(_shown(_looked_up(text, dot, names)))
            elif kind == "range":
                self._range(text, body, other, dot, names)
            else:
                value = _looked_up(text, dot, names)
                inner = value if kind == "with" else dot
                self.run(body if _is_truth(value) else other, inner if _is_truth(value) else dot, dict(names))

    def _range(self, text: str, body: list[_Node], other: list[_Node], dot: Value, names: dict[str, Value]) -> None:
        declared, separator, source = text.partition(":=")
        wanted = [name.strip() for name in declared.split(",")] if separator else []
        items = _looked_up((source if separator else text).strip(), dot, names)
        pairs = sorted(items.items()) if isinstance(items, dict) else list(enumerate(items or []))
        if not pairs:
            self.run(other, dot, dict(names))
        for key, value in pairs:
            bound = dict(names)
            if wanted:
                bound[wanted[-1]] = value
            if len(wanted) > 1:
                bound[wanted[0]] = key
            self.run(body, value, bound)


def _looked_up(text: str, dot: Value, names: dict[str, Value]) -> Value:
    if not _FIELD.fullmatch(text):
        raise BuiltinError(f"strings.render_template: {text[:40]!r} is not supported")
    head, *path = text.split(".")
    if head and head not in names:
        raise BuiltinError(f"strings.render_template: undefined variable {head[:40]!r}")
    value = names[head] if head else dot
    for part in path:
        if part:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_truth(value: Value) -> bool:
    return value not in (None, False, 0, "", [], {})


def _shown(value: Value) -> str:
    if value is None:
        return "<undefined>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(_shown(item) for item in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_shown(item)}' for key, item in sorted(value.items()))}]"
    return str(value)


def replace_n(patterns: dict[str, str], text: str) -> str:
    """All patterns at once, from left to right; of two at one place the one that sorts first wins."""
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in patterns.items()):
        raise BuiltinError("strings.replace_n: operand 1 must hold texts")
    if not patterns:
        return text
    either = re.compile("|".join(re.escape(pattern) for pattern in sorted(patterns)))
    return either.sub(lambda found: patterns[found.group()], text)


BUILTINS = {
    "strings.replace_n": replace_n,
    "strings.split_n": split_n,
    "array.flatten": flatten,
    "strings.render_template": render_template,
    "all": all_true,
    "any": any_true,
    "set_diff": set_diff,
    "cast_array": _cast_array,
    "cast_boolean": _cast(bool, "boolean"),
    "cast_null": _cast(type(None), "null"),
    "cast_object": _cast(dict, "object"),
    "cast_set": _cast((set, frozenset), "set"),
    "cast_string": _cast(str, "string"),
}
