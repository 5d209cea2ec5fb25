"""What an app asks a person for, from its manifest and the registry: as a request for the line, and in plain words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from audit.record import Entry
from governance.errors import CallerError, NotFound
from governance.model.moment import new_decision_id, utc_now
from governance.normalise.requests import normalise_document
from governance.platform.oauth.consents import Consent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json, Request, Source

CHOICES = (1, 7, 30, 60, 90)
"""Days that a person may choose; what is too long is a rule's to say."""
_ACCESS = {"read": "it sees, and changes nothing", "write": "it may change things", "admin": "it may change everything"}
_DAYS = re.compile(r"P(\d{1,5})D")


class Asked(NamedTuple):
    """What is asked for."""

    app: str
    spec: Json
    """Of the last allowed deploy."""
    connector: Json
    """The registry's entry."""
    scopes: tuple[str, ...]

    @property
    def tenant(self) -> str:
        """Whose app it is."""
        return str(self.spec.get("tenant", ""))

    @property
    def purpose(self) -> str:
        """What the manifest says that the connector is for."""
        return str(_declared(self.spec, self.connector)[0].get("purpose", ""))

    def request(self, source: Source, days: int) -> Request:
        """The question to the policy: may this person be asked for this, for so many days?"""
        ends = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        resource = {
            "app": self.app, "connector": self.connector["name"], "scopes": list(self.scopes), "purpose": self.purpose,
            "expires_at": ends,
        }  # fmt: skip
        return normalise_document({"kind": "consent", "tenant": self.tenant, "resource": resource}, source)

    def consent(self, person: str, request: Request | None = None, decision: Decision | None = None) -> Consent:
        """The consent that a yes begins; without a decision, what a no is recorded about."""
        return Consent(
            decision.decision_id if decision is not None else "", self.app, self.tenant, str(self.connector["name"]),
            person, self.scopes, self.purpose, request.resource["expires_at"] if request is not None else "",
        )  # fmt: skip

    def words(self) -> dict[str, Json]:
        """The same for people: `{scopes[{name, means, access}], purpose, classes, pii, retention, residency, owner}`."""
        data, known = self.spec.get("data", {}), self.connector["scopes"]
        kept = _DAYS.fullmatch(str(data.get("retention", "")))
        return {
            "scopes": [
                {"name": name, "means": known[name]["means"], "access": _ACCESS[known[name]["access"]]}
                for name in self.scopes
            ],
            "purpose": self.purpose,
            "classes": ", ".join(data.get("classes", [])),
            "pii": ", ".join(kind.replace("_", " ") for kind in data.get("pii", [])),
            "retention": f"{kept[1]} days" if kept else data.get("retention", ""),
            "residency": ", ".join(data.get("residency", [])),
            "owner": self.spec.get("owner", ""),
        }


def asked_of(app: str, found: Json | None, connector: Json, scopes: Sequence[str]) -> Asked:
    """What `app` asks for; all scopes of its manifest where none are named. Raises NotFound, or CallerError for a scope."""
    declared = _declared((found or {}).get("spec", {}), connector)
    if found is None or not declared:
        raise NotFound(f"no app {app[:63]!r} was deployed with this connector")
    wanted = scopes or declared[0].get("scopes", [])
    if not set(wanted) <= set(connector["scopes"]):
        raise CallerError("the connector has no such scope", where="scope")
    return Asked(app, found["spec"], connector, tuple(dict.fromkeys(wanted)))


def finishing(consent: Consent, source: Source) -> Request:
    """The question to the policy when a vendor's code has come: is what was asked for still what may be asked for?

    Between the yes and the code the service may have been started anew, with another document of the connector.
    """
    resource = {
        "app": consent.app, "connector": consent.connector, "scopes": list(consent.scopes), "purpose": consent.purpose,
        "expires_at": consent.expires_at,
    }  # fmt: skip
    document = {
        "kind": "consent", "action": "finish", "tenant": consent.tenant, "resource": resource,
        "context": {"consent": consent.id},
    }  # fmt: skip
    return normalise_document(document, source)


def handing_back(consent: Consent, source: Source) -> Request:
    """The question to the policy when a consent has ended here: may its vendor be shown the token, to take it back?"""
    resource = {"app": consent.app, "connector": consent.connector, "consent": consent.id}
    return normalise_document({"kind": "revocation", "tenant": consent.tenant, "resource": resource}, source)


def consent_entry(kind: str, consent: Consent, *, actor: str, entry_point: str, trace_id: str = "") -> Entry:
    """The record of a step: `consent_given`, `consent_refused` or `consent_withdrawn`. Erasing the person erases who it was."""
    public = {
        "decision_id": new_decision_id(), "actor": actor, "entry_point": entry_point, "effect": "", "app": consent.app,
        "tenant": consent.tenant, "rules": [], "connectors": [consent.connector], "consent": consent.id,
        "scopes": list(consent.scopes), "expires_at": consent.expires_at, "trace_id": trace_id,
    }  # fmt: skip
    sealed = {"person": consent.person, "purpose": consent.purpose}
    return Entry(kind, utc_now(), public, sealed, consent.person)


def _declared(spec: Json, connector: Json) -> list[Json]:
    return [one for one in spec.get("connectors", []) if isinstance(one, dict) and one.get("name") == connector["name"]]
