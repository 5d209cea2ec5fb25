"""Asking any rule of any bundle: what OPA's Data API does."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.errors import NoAnswer
from governance.model.decision import Answer

if TYPE_CHECKING:
    from governance.model.request import Json
    from governance.policy.active import Active

_OURS = frozenset({"main", "rules", "obligations", "lib"})
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ask(active: Active, path: str, document: Json, *, strict: bool = False) -> Answer | NoAnswer:
    """The value at `path` (slash-separated, below `data`) for `document` as input; an error is returned, not raised.

    `strict`: a builtin's error is no answer in other people's policies as well. Undefined is an `Answer` without text. A path
    that the fast executor serves goes there; everything else is a query on the interpreter, which also answers for base
    documents and whole packages.
    """
    segments = [segment for segment in path.split("/") if segment]
    dotted = ".".join(["data", *segments])
    text = json.dumps(document, ensure_ascii=False)
    try:
        if dotted in active.compiled.fast:
            return active.engine.rule(dotted, text)
        reference = "data" + "".join(f".{s}" if _PLAIN.fullmatch(s) else f"[{json.dumps(s)}]" for s in segments)
        # Our own pack is strict: an error there is no answer. Other people's policies expect OPA's default.
        found = active.engine.query(reference, text, strict=strict or _is_ours(segments))
    except NoAnswer as error:
        return error
    if not found:
        return Answer(None, "interpreter")
    return Answer(json.dumps(found[0]["expressions"][0]["value"], ensure_ascii=False), "interpreter")


def ask_strictly(active: Active, path: str, document: Json) -> Answer | NoAnswer:
    """As `ask`, with every error an error."""
    return ask(active, path, document, strict=True)


def holds_data(active: Active, path: str) -> bool:
    """Whether the value at `path` is, or contains, data that came with a bundle, and not only what rules make of an input."""
    segments = [segment for segment in path.split("/") if segment]
    if ".".join(["data", *segments]) in active.compiled.fast:
        return False
    node = _data_of(active.compiled.data)
    for segment in segments:
        if isinstance(node, dict):
            if segment not in node:
                return False
            node = node[segment]
    return True


@lru_cache(maxsize=1)
def _data_of(text: str) -> Json:
    return json.loads(text)


def _is_ours(segments: list[str]) -> bool:
    return segments[:1] == ["platform"] and (len(segments) == 1 or segments[1] in _OURS)
