"""Who has agreed to a connector: its owner and compliance, each for one document of it, by its digest.

    request     the question to the policy: may this one approve this document, as this part?
    entry       the record of a yes, which has to be durable before `keep`
    keep        from then on the approval is a fact of every decision that names the connector

What the approvals amount to is a rule's to say (CONN-017), and who may give one as well (REG-004).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors_registry.digests import digest_of
from governance.enrich.scan import without_findings
from governance.errors import CallerError, DependencyError, Forbidden
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
"""`{connector: {digest: [{as, by, role, team, at}]}}`."""


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
            self._held, self._stamp = _parsed(self._state.read(_DOCUMENT)), stamp
        return self._held

    def of(self, entry: Mapping[str, Json]) -> list[dict[str, Any]]:
        """Those of the document as it is registered now."""
        return self.held().get(str(entry["name"]), {}).get(digest_of(entry), [])

    def keep(self, asked: Asked) -> None:
        """Add an approval that is on record; a second one of the same part takes the place of the first."""
        who = asked.identity
        row = {"as": asked.part, "by": who.actor, "role": who.role, "team": who.team, "at": utc_now()}

        def added(held: bytes | None) -> bytes:
            known = _parsed(held)
            documents = known.setdefault(str(asked.connector["name"]), {})
            others = [one for one in documents.pop(asked.digest, []) if one["as"] != asked.part]
            documents[asked.digest] = [*others, row]
            for oldest in list(documents)[:-_MOST_DOCUMENTS]:
                del documents[oldest]
            return json.dumps(known).encode()

        self._state.change(_DOCUMENT, added)


class Asked:
    """Somebody wants to approve a document; also the source of the facts that only who asked them to sign in has."""

    def __init__(
        self, connector: Json, approvals: Approvals, identity: Identity, *, part: str, digest: str, reason: str
    ) -> None:
        """`connector`: the registry's entry. `part`: one of PARTS. `digest`: of the document that they have read."""
        self.name = "approval"
        self.connector, self.identity = connector, identity
        self.part, self.digest, self.reason = part, digest, reason
        self._given = approvals.of(connector)

    def request(self, source: Source) -> Request:
        """The question to the policy. Raises CallerError for what is no question, Forbidden for a key of one tenant."""
        if self.part not in PARTS:
            raise CallerError(f"{self.part[:40]!r} is not one of {', '.join(PARTS)}", where="/as")
        if not self.reason.strip():
            raise CallerError("one sentence is needed", where="/reason", hint="it is kept in the audit log")
        if self.identity.tenant:
            raise Forbidden(
                f"this key is for the tenant {self.identity.tenant!r} only", hint="connectors are for all of them"
            )
        spec = {theirs: self.connector[ours] for ours, theirs in _PUBLISHED.items() if ours in self.connector}
        resource = {
            "apiVersion": f"{API_GROUP}v1alpha1", "kind": "Connector", "metadata": {"name": self.connector["name"]},
            "spec": spec,
        }  # fmt: skip
        context = {"as": self.part, "digest": self.digest, "reason": without_findings(self.reason)}
        return normalise_document(
            {"kind": "registry_entry", "action": "approve", "resource": resource, "context": context}, source
        )

    def facts(self, _request: Request) -> dict[str, Json]:
        """Fact `approval`."""
        return {
            "approval": {
                "by": self.identity.actor, "role": self.identity.role, "team": self.identity.team,
                "owner": self.connector["owner"], "digest": digest_of(self.connector),
                "given": [{"as": row["as"], "by": row["by"]} for row in self._given],
            }
        }  # fmt: skip

    def entry(self, source: Source) -> Entry:
        """The record of the approval, after policy allowed it."""
        from audit.record import Entry  # `check` reads approvals and records none

        public = {
            "decision_id": new_decision_id(), "actor": source.actor, "entry_point": source.entry_point, "effect": "",
            "app": "", "tenant": "", "rules": [], "connectors": [self.connector["name"]], "as": self.part,
            "role": self.identity.role, "team": self.identity.team, "digest": self.digest, "trace_id": source.trace_id,
        }  # fmt: skip
        return Entry("connector_approved", utc_now(), public, {"reason": without_findings(self.reason)}, source.actor)


def standing(entry: Mapping[str, Json], approvals: Approvals, shipped: Mapping[str, str]) -> dict[str, Json]:
    """`{digest, approvals[], waits_for[]}` of a document as it is registered, for people; what it amounts to a rule decides.

    `shipped`: digests that come with the policy in force, by name.
    """
    digest, given = digest_of(entry), approvals.of(entry)
    is_shipped = shipped.get(str(entry["name"])) == digest
    parts = () if is_shipped else PARTS
    return {
        "digest": digest,
        "approvals": given,
        "waits_for": [part for part in parts if part not in {row["as"] for row in given}],
    }


def _parsed(raw: bytes | None) -> Held:
    try:
        found = json.loads(raw) if raw is not None else {}
        return {
            str(name): {str(digest): [_row(row) for row in rows] for digest, rows in documents.items()}
            for name, documents in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DependencyError("the approvals of connectors are damaged; none counts", where=_DOCUMENT) from error


def _row(row: Json) -> dict[str, Any]:
    return {name: str(row[name]) for name in ("as", "by", "role", "team", "at")}
