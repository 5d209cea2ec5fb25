"""The operator's own masks: `system.log.mask` and `system.log.drop` in Rego, as OPA has them, with two differences.

A mask that fails, or says something that is no mask, costs the record its content and never the record: OPA drops the event.
And `drop` drops the content: nothing is decided without a record. Where no bundle has the package, nothing is evaluated.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from governance.errors import NoAnswer
from governance.masking import Mask, Masks
from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from governance.model.request import Json
    from governance.policy.active import Active

_PACKAGE = re.compile(r"^package[ \t]+system\.log[ \t]*(?:#.*)?$", re.MULTILINE)
_ROOTS = ("input", "result")


def has_masks(active: Active) -> bool:
    """Whether a bundle has anything below `system.log`."""
    if any(_PACKAGE.search(text) for _, text in active.compiled.modules):
        return True
    data = json.loads(active.compiled.data) if '"system"' in active.compiled.data else {}
    return isinstance(data.get("system"), dict) and "log" in data["system"]


def masks_for(active: Active, event: Json) -> Masks:
    """What the masks say about an event (OPA's decision log event as `input`)."""
    try:
        dropped = _said(active, "drop", event, default=False)
        said = _said(active, "mask", event, default=[])
    except _NoMask as error:
        return Masks(failure=str(error))
    if dropped is True:
        return Masks(is_dropped=True)
    if dropped is not False:
        return Masks(failure="drop: not a boolean")
    if not isinstance(said, list):
        return Masks(failure="mask: not a set of pointers or operations")
    try:
        return Masks(tuple(_mask(one) for one in said))
    except _NoMask as error:
        return Masks(failure=str(error))


class _NoMask(Exception):
    """What the policy gave cannot be carried out. The text stands in the record: it quotes nothing."""


def _said(active: Active, name: str, event: Json, *, default: Json) -> Json:
    """The rule's value; strictly, so that a builtin that fails is a failure, and not a mask that says nothing."""
    try:
        found = active.engine.query(f"data.system.log.{name}", json.dumps(event, ensure_ascii=False), strict=True)
    except NoAnswer as error:
        raise _NoMask(f"{name}: {error.code}") from error
    return found[0]["expressions"][0]["value"] if found else default


def _mask(said: Json) -> Mask:
    """A pointer, which removes, or `{"op": "remove" | "upsert", "path", "value"}`."""
    row = {"op": "remove", "path": said} if isinstance(said, str) else said
    if not isinstance(row, dict) or row.get("op") not in {"remove", "upsert"} or not isinstance(row.get("path"), str):
        raise _NoMask("mask: neither a pointer nor an operation")
    segments = to_segments(row["path"]) if row["path"].startswith("/") else []
    if not segments or segments[0] not in _ROOTS:
        raise _NoMask("mask: a path that begins neither with /input nor with /result")
    return Mask(segments[0], tuple(segments[1:]), row["path"], row["op"] == "remove", row.get("value"))
