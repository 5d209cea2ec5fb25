"""A recorded decision as the line saw it: the request and the facts, and where the log holds something else.

The log keeps secrets and personal data masked. Whether a record is what was decided on is told by its digests, never guessed;
where it is not, the places that were masked are found, and a rule that reads one of them cannot be asked again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.model.facts import Facts
from governance.model.request import KINDS, Source
from governance.normalise.requests import canonical, recorded_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json, Request

_MASK = re.compile(r"\[[A-Za-z0-9_]+\]")
_Path = tuple[str, ...]


class Recorded(NamedTuple):
    """One decision from the log."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    request: Request
    facts: Facts
    time: str
    decision_id: str
    trace_id: str
    revision: str
    effect: str
    error: str | None
    violations: list[dict[str, Json]]
    obligations: list[dict[str, Json]]
    masked: tuple[_Path, ...]
    """Places below `input` that are not as they were decided on; the empty path is all of it."""

    @property
    def owner(self) -> str:
        """Who owns the app; empty where the record does not say."""
        known = self.facts.values.get("app")
        spec = known.get("spec") if isinstance(known, dict) else None
        if self.request.kind in {"deploy", "template"}:
            spec = self.request.app
        owner = spec.get("owner", "") if isinstance(spec, dict) else ""
        return owner if isinstance(owner, str) else ""


def recorded_of(record: dict[str, Any]) -> Recorded | None:
    """The decision in a record; None for records of other things, and for what was erased."""
    public, opened = record["public"], record["opened"]
    if record["kind"] not in KINDS or not all(
        isinstance(opened.get(name), dict) for name in ("input", "facts", "answer")
    ):
        return None
    text, facts_text = canonical(opened["input"]), canonical(opened["facts"])
    source = Source(public["entry_point"], public["actor"], (), "", public["trace_id"])
    request = recorded_request(text, source)
    facts = Facts(opened["facts"], _digest(facts_text), facts_text)
    is_whole = request.digest == public["input_digest"] and facts.digest == public["facts_digest"]
    return Recorded(
        index=record["index"],
        request=request,
        facts=facts,
        time=record["time"],
        decision_id=public["decision_id"],
        trace_id=public["trace_id"],
        revision=public["revision"],
        effect=public["effect"],
        error=public["error"],
        violations=opened["answer"]["violations"],
        obligations=opened["answer"]["obligations"],
        masked=() if is_whole else _masked_places(request, facts),
    )


def is_read(places: tuple[_Path, ...], reads: frozenset[_Path]) -> bool:
    """Whether any of the places lies in, or around, what is read."""
    return any(place[: len(read)] == read[: len(place)] for place in places for read in reads)


def _masked_places(request: Request, facts: Facts) -> tuple[_Path, ...]:
    app = request.app
    if request.kind not in {"template", "deploy"}:
        known = facts.values.get("app")
        app = known.get("spec") or {} if isinstance(known, dict) else {}
    document = {
        "kind": request.kind, "action": request.action, "tenant": request.tenant, "subject": request.subject,
        "context": request.context, "resource": request.resource, "app": app, "facts": facts.values,
    }  # fmt: skip
    return tuple(_places(document, ())) or ((),)


def _places(value: Json, path: _Path) -> Iterator[_Path]:
    if isinstance(value, str):
        if "[masked]" in value or _MASK.fullmatch(value):
            yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            if "[masked]" in name:
                yield path
            yield from _places(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*path, str(number)))


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
