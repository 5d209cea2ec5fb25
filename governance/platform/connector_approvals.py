"""Who has agreed to a connector: its owner and compliance, each for one document of it, by its digest.

    request     the question to the policy: may this one approve this document, or take an approval back, as this part?
    entry       the record of it
    keep        the approval is a fact of every decision that names the connector, or no longer is

An approval is recorded before it counts, and one that is taken back stops counting before that is recorded: whichever is
killed in between, nothing is used that nobody agreed to. What they amount to is a rule's to say (CONN-017), and who may give
one (REG-004) or take it back (REG-005) as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors_registry.agreements import EVERY, given, rows_of, withdrawn
from connectors_registry.digests import digest_of
from governance.enrich.scan import without_findings
from governance.errors import CallerError, DependencyError, Forbidden, NotFound
from governance.model.moment import new_decision_id, utc_now
from governance.normalise.requests import API_GROUP, normalise_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.record import Entry
    from governance.model.request import Json, Request, Source
    from governance.platform.keys import Identity
    from governance.state.port import State

PARTS = ("owner", "compliance")
"""As what somebody can approve."""
_DOCUMENT = "connector-approvals.json"
# Documents of one connector whose approvals are remembered: to go back to one of them is nothing new.
_MOST_DOCUMENTS = 20
# Members of a registry's entry that the published Connector has, under its own names.
_PUBLISHED = {
    "title": "title", "state": "state", "owner": "owner", "review_by": "reviewBy", "hosts": "hosts", "regions": "regions",
    "scopes": "scopes", "data_classes": "dataClasses", "operations": "operations", "fields": "fields", "limits": "limits",
    "tenants": "tenants", "retires_at": "retiresAt", "replaced_by": "replacedBy",
}  # fmt: skip

Held = dict[str, dict[str, list[dict[str, Any]]]]
"""`{connector: {digest: [row]}}`, rows as `connectors_registry.agreements` reads them, one a part."""


class Approvals:
    """The approvals of one home, or of all replicas."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._stamp: object = None
        self._held: Held = {}

    def held(self) -> Held:
        """All of them, the same object until one is added. Raises DependencyError where they cannot be had."""
        stamp = self._state.stamp(_DOCUMENT)
        if stamp != self._stamp:
            self._held, self._stamp = parsed(self._state.read(_DOCUMENT)), stamp
        return self._held

    def rows(self, name: str, digest: str) -> list[Mapping[str, Any]]:
        """What counts for one document."""
        return rows_of(self.held().get(name, {}), digest)

    def keep(self, asked: Asked) -> None:
        """Make an answer count; what stood for its part before goes."""
        row, name = asked.row(), str(asked.connector["name"])

        def kept(held: bytes | None) -> bytes:
            known = parsed(held)
            documents = known.get(name, {})
            for digest in list(documents) if asked.digest == EVERY else [asked.digest]:
                documents[digest] = [one for one in documents.pop(digest, []) if one["as"] != asked.part]
            documents.setdefault(asked.digest, []).append(row)
            # What was taken back is never forgotten: a document that comes with the program would count again.
            forgettable = [digest for digest, rows in documents.items() if not withdrawn(rows)]
            for oldest in forgettable[:-_MOST_DOCUMENTS]:
                del documents[oldest]
            return json.dumps({**known, name: documents}).encode()

        self._state.change(_DOCUMENT, kept)


class Asked:
    """Somebody wants to approve a document; also the source of the facts that only who asked them to sign in has."""

    name = "approval"
    kind = "connector_approved"
    """Of its record."""

    def __init__(
        self, connector: Json, approvals: Approvals, identity: Identity, *, part: str, digest: str, reason: str
    ) -> None:
        """`connector`: the registry's entry. `part`: one of PARTS. `digest`: of the document that they have read.

        To take an approval back, `digest` may be EVERY: then it counts for none of the connector's documents any longer.
        """
        self.connector, self.identity = connector, identity
        self.part, self.digest, self.reason = part, digest, reason
        self._registered = digest_of(connector)
        self._rows = approvals.rows(str(connector["name"]), self._registered if digest == EVERY else digest)

    def request(self, source: Source) -> Request:
        """The question to the policy. Raises CallerError for what is no question, Forbidden for a key of one tenant."""
        self._check()
        spec = {theirs: self.connector[ours] for ours, theirs in _PUBLISHED.items() if ours in self.connector}
        resource = {
            "apiVersion": f"{API_GROUP}v1alpha1", "kind": "Connector", "metadata": {"name": self.connector["name"]},
            "spec": spec,
        }  # fmt: skip
        return normalise_document(
            {"kind": "registry_entry", "action": "approve", "resource": resource, "context": self._context()}, source
        )

    def facts(self, _request: Request) -> dict[str, Json]:
        """Fact `approval`."""
        return {
            "approval": {
                "by": self.identity.actor, "role": self.identity.role, "team": self.identity.team,
                "person": self.identity.person, "owner": self.connector["owner"], "digest": self._registered,
                "given": [{name: row[name] for name in ("as", "by", "person")} for row in given(self._rows)],
            }
        }  # fmt: skip

    def row(self) -> dict[str, Any]:
        """What is kept."""
        who = self.identity
        return {
            "as": self.part, "by": who.actor, "role": who.role, "team": who.team, "person": who.person, "at": utc_now(),
        }  # fmt: skip

    def entry(self, source: Source) -> Entry:
        """The record, after policy allowed it."""
        from audit.record import Entry  # `check` reads approvals and records none

        who = self.identity
        public = {
            "decision_id": new_decision_id(), "actor": source.actor, "entry_point": source.entry_point, "effect": "",
            "app": "", "tenant": "", "rules": [], "connectors": [self.connector["name"]], "as": self.part,
            "role": who.role, "team": who.team, "digest": self.digest, "trace_id": source.trace_id,
        }  # fmt: skip
        sealed = {"reason": without_findings(self.reason), "person": who.person}
        return Entry(self.kind, utc_now(), public, sealed, who.person or source.actor)

    def _check(self) -> None:
        if self.part not in PARTS:
            raise CallerError(f"{self.part[:40]!r} is not one of {', '.join(PARTS)}", where="/as")
        if not self.reason.strip():
            raise CallerError("one sentence is needed", where="/reason", hint="it is kept in the audit log")
        if self.identity.tenant:
            raise Forbidden(
                f"this key is for the tenant {self.identity.tenant!r} only", hint="connectors are for all of them"
            )

    def _context(self) -> dict[str, Json]:
        return {"as": self.part, "digest": self.digest, "reason": without_findings(self.reason)}


class AskedBack(Asked):
    """Somebody wants to take back what was approved as a part, by themselves or by another."""

    kind = "connector_approval_withdrawn"

    def request(self, source: Source) -> Request:
        """As for an approval; also raises NotFound for a document that is neither registered nor was approved.

        The document itself is no part of it: whatever is wrong with one, its approval can be taken back.
        """
        self._check()
        if self.digest not in {self._registered, EVERY} and not self._rows:
            raise NotFound("no such document is registered or was approved", where="/digest")
        resource = {"connector": self.connector["name"]}
        return normalise_document(
            {"kind": "revocation", "action": "withdraw", "resource": resource, "context": self._context()}, source
        )

    def row(self) -> dict[str, Any]:
        """What is kept: that it is no longer approved as this part, until somebody approves it anew."""
        return {"as": self.part, "withdrawn_by": self.identity.actor, "at": utc_now()}


def standing(entry: Mapping[str, Json], approvals: Approvals, shipped: Mapping[str, str]) -> dict[str, Json]:
    """`{digest, approvals[], waits_for[], withdrawn[]?}` of a document, for people; what it amounts to a rule decides.

    `shipped`: digests that come with the policy in force, by name.
    """
    digest = digest_of(entry)
    rows = approvals.rows(str(entry["name"]), digest)
    in_force, back = given(rows), withdrawn(rows)
    people = {row["as"]: row["person"] for row in in_force if row["person"]}
    if shipped.get(str(entry["name"])) == digest:
        waits = back
    elif set(people) >= set(PARTS) and len(set(people.values())) == 1:
        waits = list(PARTS)
    else:
        waits = [part for part in PARTS if part not in people]
    return {"digest": digest, "approvals": in_force, "waits_for": waits, **({"withdrawn": back} if back else {})}


def parsed(raw: bytes | None) -> Held:
    """Approvals as they are kept. Raises DependencyError for anything else."""
    try:
        found = json.loads(raw) if raw is not None else {}
        return {
            str(name): {str(digest): [_row(row) for row in rows] for digest, rows in documents.items()}
            for name, documents in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DependencyError("the approvals of connectors are damaged; none counts", where=_DOCUMENT) from error


def _row(row: Json) -> dict[str, Any]:
    if "withdrawn_by" in row:
        return {name: str(row[name]) for name in ("as", "withdrawn_by", "at")}
    # Before keys had persons there were approvals without one; no two people can be told by them.
    named = {"person": "", **row}
    return {name: str(named[name]) for name in ("as", "by", "role", "team", "person", "at")}
