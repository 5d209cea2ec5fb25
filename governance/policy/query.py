"""Asking any rule of any bundle: what OPA's Data API does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from governance.errors import NoAnswer
from governance.model.decision import Answer

if TYPE_CHECKING:
    from governance.model.request import Json
    from governance.policy.active import Active

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ask(active: Active, path: str, document: Json) -> Answer | NoAnswer:
    """The value at `path` (slash-separated, below `data`) for `document` as input; an error is returned, not raised.

    Undefined is an `Answer` without text. A path that the fast executor serves goes there; everything else is a query
    on the interpreter, which also answers for base documents and whole packages.
    """
    segments = [segment for segment in path.split("/") if segment]
    dotted = ".".join(["data", *segments])
    text = json.dumps(document, ensure_ascii=False)
    try:
        if dotted in active.compiled.fast:
            return active.engine.rule(dotted, text)
        reference = "data" + "".join(f".{s}" if _PLAIN.fullmatch(s) else f"[{json.dumps(s)}]" for s in segments)
        found = active.engine.query(reference, text)
    except NoAnswer as error:
        return error
    if not found:
        return Answer(None, "interpreter")
    return Answer(json.dumps(found[0]["expressions"][0]["value"], ensure_ascii=False), "interpreter")
