"""What the registry says about the connectors, the tenant and the template that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors_registry.agreements import given, rows_of, withdrawn
from connectors_registry.digests import digest_of
from governance.model.facts import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from governance.model.request import Json, Request


class RegistryFacts:
    """Facts `connectors` and `tenant`."""

    name = "registry"

    def __init__(
        self,
        connectors: Mapping[str, Json],
        tenants: Mapping[str, Json],
        spec_of: Callable[[str], Json],
        approvals: Callable[[], Mapping[str, Mapping[str, Json]]] = dict,
    ) -> None:
        """`connectors` and `tenants` by name as the registry has them; `spec_of` gives the last allowed deploy's spec.

        `approvals` gives `{connector: {digest: [approval]}}`, the same object for as long as nothing about them changes.
        """
        self._shaped = {name: {**_shaped(entry), "digest": digest_of(entry)} for name, entry in connectors.items()}
        self._connectors = {name: Written(entry) for name, entry in self._shaped.items()}
        self._tenants = {name: Written({"known": True, **tenant}) for name, tenant in tenants.items()}
        self._spec_of, self._approvals = spec_of, approvals
        self._agreed: Mapping[str, Mapping[str, Json]] | None = None

    def facts(self, request: Request) -> dict[str, Json]:
        """An unknown connector stands in the list with `state: unknown`, an unknown tenant as `known: false`."""
        self._refresh()
        found = [
            self._connectors.get(name) or {"name": name, "state": "unknown"} for name in sorted(self._named(request))
        ]
        tenant = self._tenants.get(request.tenant)
        return {
            "connectors": found,
            "tenant": {"known": False, "name": request.tenant} if tenant is None else tenant,
        }

    def _refresh(self) -> None:
        """Take up approvals that came since: only entries that have any are written again."""
        agreed = self._approvals()
        if agreed is self._agreed:
            return
        for name in {*agreed, *(self._agreed or ())} & set(self._shaped):
            entry = self._shaped[name]
            documents = agreed.get(name, {})
            self._connectors[name] = Written({**entry, **_agreement(documents, entry["digest"])})
        self._agreed = agreed

    def _named(self, request: Request) -> set[str]:
        if request.kind in {"deploy", "template"}:
            return _names_in(request.app)
        names = _names_in(self._spec_of(str(request.app.get("name", ""))))
        resource = request.resource
        # Where data comes from says of which classes it is, whether the app was deployed with that connector or not.
        source = resource.get("source") if request.kind == "data_flow" else None
        for place in (resource.get("connector"), _member(resource.get("destination"), "connector"), source):
            if isinstance(place, str) and place:
                names.add(place)
        return names


def _agreement(documents: Mapping[str, Json], digest: str) -> dict[str, Json]:
    """`approvals`, as what they were `withdrawn`, or that another document was `approved_before`; what there is of them."""
    rows = rows_of(documents, digest)
    in_force, back = given(rows), withdrawn(rows)
    found: dict[str, Json] = {"approvals": in_force} if in_force else {}
    if back:
        found["withdrawn"] = back
    elif documents and not in_force:
        found["approved_before"] = True
    return found


def _names_in(spec: Json) -> set[str]:
    connectors = spec.get("connectors") if isinstance(spec, dict) else None
    if not isinstance(connectors, list):
        return set()
    return {c["name"] for c in connectors if isinstance(c, dict) and isinstance(c.get("name"), str)}


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


# How the broker calls, and words for people.
_NOT_FOR_RULES = frozenset({"title", "auth", "oauth", "documentation", "region_hosts", "usage_limits", "smtp"})
# Schemas are for whoever checks shapes; a rule needs to know that there is one.
_SCHEMAS = ("request", "response")


def _shaped(entry: Json) -> Json:
    """The entry as rules read it: scopes as name to access, without the plain words; of schemas, which there are."""
    kept = {k: v for k, v in entry.items() if k not in _NOT_FOR_RULES}
    kept["operations"] = [
        {**{k: v for k, v in one.items() if k not in _SCHEMAS}, "shaped": [name for name in _SCHEMAS if name in one]}
        for one in entry["operations"]
    ]
    return {
        **kept,
        "scopes": {scope: about["access"] for scope, about in entry["scopes"].items()},
        "acts_for_person": entry.get("auth", {}).get("scheme") == "person",
    }
