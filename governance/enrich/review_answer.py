"""A model's answer, taken for findings only where it is exactly what was asked for.

Whatever else comes back (half a JSON, another shape, a category nobody knows, a pointer to nothing, the canary) means
that the review was not done. Text is cut to printable characters, since it ends on terminals and in records.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.enrich.threats import CATEGORIES, SEVERITIES
from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from governance.model.request import Json

MOST_FINDINGS = 40
_LENGTHS = {"title": 120, "evidence": 400, "suggestion": 400}
_MEMBERS = frozenset({"pointer", "severity", "category", *_LENGTHS})
_LONGEST_POINTER = 1000


class BadAnswer(Exception):
    """The answer is no review; `reason` is one of a few fixed words, never text of the model's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def findings_in(content: str, resource: Json, canary: str) -> list[Json]:
    """The findings of an answer about `resource`. Raises BadAnswer."""
    if canary in content:
        raise BadAnswer("canary echoed")
    text = _unfenced(content.strip())
    try:
        answer = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("not JSON") from error
    # Written with escapes it is echoed all the same.
    if canary in json.dumps(answer, ensure_ascii=False):
        raise BadAnswer("canary echoed")
    return validated(answer, resource)


def validated(answer: Json, resource: Json) -> list[Json]:
    """The findings of a decoded answer. Raises BadAnswer, which says what is wrong."""
    if not isinstance(answer, dict) or set(answer) != {"findings"} or not isinstance(answer["findings"], list):
        raise BadAnswer("not of the shape that was asked for")
    if len(answer["findings"]) > MOST_FINDINGS:
        raise BadAnswer("too many findings")
    return [_finding(item, resource) for item in answer["findings"]]


def _finding(item: Json, resource: Json) -> Json:
    if not isinstance(item, dict) or set(item) != _MEMBERS or not all(isinstance(v, str) for v in item.values()):
        raise BadAnswer("not of the shape that was asked for")
    if item["severity"] not in SEVERITIES:
        raise BadAnswer("unknown severity")
    if item["category"] not in CATEGORIES:
        raise BadAnswer("unknown category")
    if len(item["pointer"]) > _LONGEST_POINTER or not exists(resource, item["pointer"]):
        raise BadAnswer("pointer to nothing")
    texts = {name: _printable(item[name])[:length] for name, length in _LENGTHS.items()}
    return {**item, **texts, "source": "model"}


def exists(resource: Json, pointer: str) -> bool:
    """Whether the pointer leads somewhere in the resource."""
    try:
        segments = to_segments(pointer)
    except ValueError:
        return False
    for segment in segments:
        if isinstance(resource, dict) and segment in resource:
            resource = resource[segment]
        elif isinstance(resource, list) and _is_index(segment) and int(segment) < len(resource):
            resource = resource[int(segment)]
        else:
            return False
    return True


def _is_index(segment: str) -> bool:
    return segment.isascii() and segment.isdigit() and len(segment) < 7 and (segment == "0" or segment[0] != "0")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _unfenced(text: str) -> str:
    """Without the one code fence that many models put around JSON."""
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3]
    return text


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
