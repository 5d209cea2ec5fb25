"""Deciding again what a package says was decided: the same request, facts, policy, waivers and clock, and what comes out.

A record whose input was masked, or may not be read, cannot be decided again and is counted as such, never as equal. The
interpreter decides here whatever served then, so a fast executor that had answered differently would show.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from audit.canonical import canonical
from audit.packages import Checked, Package, read_manifest
from audit.walk import records_of
from governance.documents.files import read_whole
from governance.errors import CallerError, RuleError
from governance.model.facts import Facts
from governance.model.request import KINDS, Source
from governance.normalise.requests import recorded_request
from governance.policy.decide import Moment, decide
from governance.policy.kept import active_from
from governance.policy.waivers import Waiver
from governance.record import entry_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from audit.packages import Manifest
    from audit.walk import Record
    from governance.model.request import Json
    from governance.policy.active import Active

# What has to come out the same; the executor and the masks of a later version may differ.
_PUBLIC = ("effect", "error", "rules", "waivers", "revision", "input_digest", "facts_digest")
# What a record says when an operator's own masks changed what it holds.
_MASKED = frozenset({"mask", "masked_paths", "erased_paths"})
_ANSWER = ("reason", "violations", "obligations")


class Report(NamedTuple):
    """What deciding again showed."""

    equal: int
    differing: tuple[str, ...]
    """One line for each record that came out differently."""
    missing: tuple[str, ...]
    """Revisions whose policy is not at hand, with how many decisions that leaves open."""
    not_comparable: Mapping[str, int]
    """How many records for which reason."""


class _NotComparable(Exception):
    pass


def re_evaluate(path: str, policy: str = "") -> Report:
    """Decide every decision of the package at `path` again, with its policies and the one in the file `policy`."""
    equal, differing = 0, []
    reasons: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    with Package(path) as package:
        manifest = read_manifest(package, "")
        policies = _policies(package, manifest, policy)
        for record in records_of(package, manifest):
            public = record.leaf["public"]
            try:
                _check_comparable(record)
                candidates = policies.get(str(public.get("revision")), [])
                if not candidates:
                    missing[str(public.get("revision"))] += 1
                    continue
                found = [_differences(record, active) for active in candidates]
            except _NotComparable as reason:
                reasons[str(reason)] += 1
                continue
            if all(found):
                name = f"record {record.leaf['index']} (decision {public.get('decision_id')})"
                differing.append(f"{name}: {'; '.join(found[0])}")
            else:
                equal += 1
    named = tuple(
        f"the policy of revision {revision}: {count} decisions" for revision, count in sorted(missing.items())
    )
    return Report(equal, tuple(differing), named, reasons)


def _policies(package: Package, manifest: Manifest, extra: str) -> dict[str, list[Active]]:
    """By revision; the files of a package were checked against the signed manifest, and are again here."""
    found: dict[str, list[Active]] = {}
    documents = []
    for name in manifest.files:
        if name.startswith("policy-"):
            with Checked(package, name, manifest.files[name]) as file:
                documents.append((name, b"".join(file.lines())))
                file.finish()
    if extra:
        documents.append((extra, read_whole(extra)))
    for name, raw in documents:
        try:
            active = active_from(raw)
        except RuleError as error:
            raise CallerError(str(error), where=name, hint="name a file of <home>/policies") from error
        found.setdefault(active.revision, []).append(active)
    return found


def _check_comparable(record: Record) -> None:
    public, kind = record.leaf["public"], record.leaf["kind"]
    if kind not in KINDS:
        raise _NotComparable(f"{kind} (no decision)")
    if not _MASKED.isdisjoint(public):
        raise _NotComparable("masked")
    for name, digest in (("input", "input_digest"), ("facts", "facts_digest")):
        if name not in record.openings or "answer" not in record.openings:
            raise _NotComparable("not readable")
        if "sha256:" + hashlib.sha256(record.openings[name].raw).hexdigest() != public.get(digest):
            raise _NotComparable("masked")


def _differences(record: Record, active: Active) -> list[str]:
    """What comes out differently, in words; empty where nothing does."""
    public = record.leaf["public"]
    answer = json.loads(record.openings["answer"].raw)
    source = Source(str(public.get("entry_point")), str(public.get("actor")), trace_id=str(public.get("trace_id", "")))
    try:
        request = recorded_request(record.openings["input"].raw.decode("utf-8", "surrogatepass"), source)
        waivers = [Waiver(**waiver) for waiver in answer.get("waivers", [])]
    except (CallerError, TypeError, AttributeError) as error:
        raise _NotComparable("recorded in another form") from error
    text = record.openings["facts"].raw.decode("utf-8", "surrogatepass")
    facts = Facts(json.loads(text), str(public["facts_digest"]), text)
    moment = Moment(str(record.leaf["time"]), str(public.get("decision_id")), str(public.get("trace_id", "")))
    again = entry_of(request, facts, decide(active, request, facts, moment, waivers).decision)
    return [
        *_unlike(_PUBLIC, public, again.public),
        *_unlike(_ANSWER, answer, again.sealed["answer"]),
    ]


def _unlike(names: Sequence[str], recorded: Mapping[str, Json], again: Mapping[str, Json]) -> list[str]:
    return [
        f"{name} was {_short(recorded.get(name))}, is {_short(again.get(name))}"
        for name in names
        if canonical(recorded.get(name)) != canonical(again.get(name))
    ]


def _short(value: Json) -> str:
    text = canonical(value).decode("utf-8", "replace")
    return text if len(text) <= 80 else text[:77] + "..."
