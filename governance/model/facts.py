"""What the line knows beyond the request: facts, never verdicts.

An absent fact is a fact too: a stage that failed adds its name to `unavailable`, and a rule says what that means.
The keys are the contract between `enrich/` (which fills them) and `rules/` (which reads `input.facts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from governance.model.request import Json


class Facts(NamedTuple):
    """Facts about one request; `values` becomes `input.facts`."""

    values: Json
    """
    - `connectors`: `[{name, state, hosts[], regions[], scopes{name: access}, data_classes[], owner, tenants[], …}]`,
      the registry's entry for each connector the request names (`state: "unknown"` when it has none)
    - `app`: `{known: bool, digest, spec}`: the last allowed deploy of the app that a call or a flow names
    - `tenant`: `{known, name, business_area, cost_centers[], connectors[], quotas{}, regions[]}`
    - `url`: for calls and flows: `{valid, scheme, host, port, path, has_userinfo, is_ip, is_private}`
    - `pii`: `[{pointer, entity, score}]`; `secrets`: `[{pointer, entity, score}]`: pointers into the resource
    - `schema_errors`: `[{pointer, message}]`
    - `review`: `{status, findings[]}`; `usage`: `{…}`; `approvals`: `[{by, role, digest, scope, expires_at}]`
    - `unavailable`: `["pii", …]`: stages that could not answer
    """
    digest: str
    """`sha256:<hex>` over `text`."""
    text: str = ""
    """Canonical JSON of `values`."""
