"""`regex.globs_match`: whether two patterns have a text in common.

Patterns are a small part of regular expressions: characters, `.`, sets in brackets, each with `*` or `+` behind it. Two such
patterns are two automata; a common text is a walk through both at once, so places are visited once each.
"""

from __future__ import annotations

from typing import NamedTuple

from governance.policy.builtins.operands import BuiltinError

_LAST = 0x10FFFF


class _Step(NamedTuple):
    ranges: tuple[tuple[int, int], ...]
    is_optional: bool
    repeats: bool


def globs_match(left: str, right: str) -> bool:
    """Whether some text matches both patterns whole. Raises BuiltinError for what is no pattern."""
    a, b = _steps(left), _steps(right)
    todo, seen = [(0, 0)], {(0, 0)}
    while todo:
        i, j = todo.pop()
        if i == len(a) and j == len(b):
            return True
        for place in _next(a, b, i, j):
            if place not in seen:
                seen.add(place)
                todo.append(place)
    return False


def _next(a: list[_Step], b: list[_Step], i: int, j: int) -> list[tuple[int, int]]:
    found = []
    if i < len(a) and a[i].is_optional:
        found.append((i + 1, j))
    if j < len(b) and b[j].is_optional:
        found.append((i, j + 1))
    if i < len(a) and j < len(b) and _share(a[i].ranges, b[j].ranges):
        ends_a = [i + 1, i] if a[i].repeats else [i + 1]
        ends_b = [j + 1, j] if b[j].repeats else [j + 1]
        found += [(x, y) for x in ends_a for y in ends_b]
    return found


def _share(a: tuple[tuple[int, int], ...], b: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= top and bottom <= high for low, high in a for bottom, top in b)


def _steps(pattern: str) -> list[_Step]:
    steps: list[_Step] = []
    at = 0
    while at < len(pattern):
        ranges, at = _element(pattern, at)
        flag = pattern[at : at + 1]
        if flag in {"*", "+"}:
            at += 1
        # `x+` is one x and then any number: the step repeats and may not be left out.
        steps.append(_Step(ranges, flag == "*", flag in {"*", "+"} and flag != ""))
    return steps


def _element(pattern: str, at: int) -> tuple[tuple[tuple[int, int], ...], int]:
    char = pattern[at]
    if char == ".":
        return ((0, _LAST),), at + 1
    if char == "[":
        return _set(pattern, at + 1)
    if char in {"*", "+"}:
        raise _bad(pattern, at, f"{char!r} without anything before it")
    if char == "]":
        raise _bad(pattern, at, "set-close ']' with no preceding '['")
    if char == "\\":
        at += 1
        if at == len(pattern):
            raise _bad(pattern, at, "nothing to escape")
    return ((ord(pattern[at]), ord(pattern[at])),), at + 1


def _set(pattern: str, at: int) -> tuple[tuple[tuple[int, int], ...], int]:
    found: list[tuple[int, int]] = []
    while at < len(pattern) and pattern[at] != "]":
        low, at = _member(pattern, at)
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in {"]", ""}:
            high, at = _member(pattern, at + 1)
            if high < low:
                raise _bad(pattern, at, "a range that goes backwards")
            found.append((low, high))
        else:
            found.append((low, low))
    if at >= len(pattern) or not found:
        raise _bad(pattern, at, "a set that is not closed, or empty")
    return tuple(found), at + 1


def _member(pattern: str, at: int) -> tuple[int, int]:
    if pattern[at] == "\\":
        at += 1
    if at >= len(pattern):
        raise _bad(pattern, at, "nothing to escape")
    return ord(pattern[at]), at + 1


def _bad(pattern: str, at: int, reason: str) -> BuiltinError:
    return BuiltinError(f"regex.globs_match: input:{pattern[:40]}, pos:{at}, {reason}: the input provided is invalid")


BUILTINS = {"regex.globs_match": globs_match}
