"""What the line knows beyond the request: facts, never verdicts.

An absent fact is a fact too: a stage that failed adds its name to `unavailable`, and a rule says what that means.
The keys are the contract between `enrich/` (which fills them) and `rules/` (which reads `input.facts`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Written(dict[str, Any]):
    """An object with its canonical text, for facts that are the same for many requests: nobody may change it any more."""

    __slots__ = ("text",)

    def __init__(self, values: Mapping[str, Json]) -> None:
        super().__init__(values)
        self.text = _ENCODER.encode(values)


def facts_text(values: Mapping[str, Json]) -> str:
    """Canonical JSON of facts; what is `Written` in them, alone or in a list, is not written again. Raises ValueError."""
    return f"{{{','.join(f'{_ENCODER.encode(name)}:{_text(values[name])}' for name in sorted(values))}}}"


def _text(value: Json) -> str:
    if type(value) is list:
        return f"[{','.join(map(_text, value))}]"
    return value.text if isinstance(value, Written) else _ENCODER.encode(value)


class Facts(NamedTuple):
    """Facts about one request; `values` becomes `input.facts`."""

    values: Json
    """
    - `connectors`: `[{name, state, hosts[], regions[], scopes{name: access}, data_classes[], operations[], fields[],
      limits{}, owner, tenants[], review_by, retires_at, replaced_by}]`: the registry's entry for each connector that the
      request names, and for a call or a flow also for each one the app's last allowed deploy names. `state`: `approved`,
      `deprecated`, `retired`, `proposed`, or `unknown` (nothing but the name) when the registry has no entry. `access`:
      `read`, `write` or `admin`. `operations`:
      `[{name, method, paths[], scope, cost_microeur?, stream?, reserved[]?, shaped[]}]`, `paths` being templates
      (`/people/{id}`), `shaped` those of `request` and `response` that have a schema. `fields`:
      `[{pointer: [segments, "*" for any], class, pii}]`, sensitive places in its answers (`pii`: kind, if any).
      `acts_for_person`: whether a call needs a person's consent. `limits`: most calls a day by business area, `"*"` for
      others; `per_minute`: the same of one app within 60 s. `tenants`: names, `"*"` for all. `retires_at`:
      RFC 3339, absent when not planned. `digest`: of the document (`connectors_registry/digests.py`); `approvals`:
      `[{as, by, role, team, person, at}]` given for that digest, absent without one; `withdrawn`: as what they were taken
      back, absent where none was; `approved_before`: only earlier documents were
    - `app`: `{known: bool, digest, spec, state, state_since, legal_hold}`: the last allowed deploy of the app that the
      request names; `state` (`active` after a deploy, `idle`, `archived`, …) and `state_since` (RFC 3339) come with it.
      `legal_hold`: only where the app is to be deleted. Of a deleted one `spec` is `{tenant}`
    - `template`: for deploys: `{known: bool, name, version, state, spec}`: the template that the app names;
      `state` is `published` or `deprecated`. For templates, the version that is to be published, `known` where it is already,
      and `publisher`: `{known: bool, tenant}`: whose the template is by its first version; `tenant` empty: the platform's
    - `tenant`: `{known, name, business_area, cost_centers[], connectors[], quotas{requestsPerDay, costEurPerMonth},
      regions[], namespaces[]}`; `namespaces`: of Kubernetes, absent where it has none
    - `url`: for calls and flows: `{valid, scheme, host, port, path, has_userinfo, is_ip, is_private}`; `host` in lower
      case without a trailing dot, `port` a number (the scheme's own when none is written), `path` percent-decoded
    - `shapes`: for calls, and for answers that name their `operations`: `{operation: [{path, message}]}` for each that has a
      schema, `path` being segments into the resource; an empty list is a shape that fits
    - `pii`, `secrets`: `[{pointer, entity, score, reason, decode[]?, span[start, end]?, within?}]`: pointers into the
      resource; `score` from 0 to 1; `reason`: `checksum`, `form`, `prefix`, `context`, `name` or `column`; `decode`: how it
      was hidden, outermost first (`base64`, `url`, `split` …); `span`: characters of the text at `pointer`, absent where it
      is the whole value; `within`: the place inside that text, where it is CSV, XML or a form. What stands in the name of a
      member is `MEMBER_NAME` or `SECRET_IN_NAME` at its object, `member` saying which, and cannot be masked
    - `schema_errors`: `[{pointer, message}]`
    - `review`: for templates, deploys and publishing: `{status, findings[{pointer, severity, title, category, evidence,
      suggestion, source}], model?, review_id?, reason?}`. `status`: `done`, or `unavailable` (`reason` says why) where a
      model is configured and has not reviewed this design: then `review` stands in `unavailable` too. `severity`: `info`,
      `low`, `medium`, `high`, `critical`; `category` as in `enrich/threats.py`; `source`: `checklist` or `model`;
      `review_id`: the audit record of the model's review
    - `scope_use`: for a deploy of an app that was deployed before: `{looked_since, scopes[{connector, scope, asked_since,
      last_used}]}`: RFC 3339, `last_used` empty where no call since `looked_since` used the scope
    - `usage`: `{calls_today{connector: n}, calls_last_minute{connector: n}, app_calls_today, tenant_calls_today,
      app_microeur, tenant_microeur}`: before this call: of the business area today, of the app within 60 s, of the app and
      of the tenant today; millionths of a euro that both spent this month; absent where no
      meter runs. For an app call `{requests{app{day, month}, tenant{day, month}}}`: those let through before it
    - `api`: for app calls: `{digest, accepted[{index, part}]}`: which of the calls that the app's deploy of this digest
      declares (`index` into `spec.api`) would accept the `query` or the `body` (`part`) by its schema. For their answers
      `part` is `answers`, and `status` the name under which the schema that accepts the body is declared
    - `attack`: `{engine, score, rules[]}`: what the OWASP core rule set says of an app call: anomaly score and the ids of the
      rules that matched; absent where the audience does not ask for it
    - `credential`: `{known: bool, age_days}`: whether one is stored for the called connector and the tenant, and days since
      its last rotation (absent where the connector needs none); absent where no broker asks
    - `consent`: `{known: bool, id, app, tenant, connector, person, scopes[], purpose, state, given_at, expires_at, ended_at,
      ended_by}`: the consent that a call names; `state` is `asked`, `given` or `withdrawn`; absent where it names none or no
      broker asks
    - `events`: for deploys that declare any: `{problems[{path: [segments below app.events], message}], schedules[{index,
      shortest_s}], subscriptions[{index, known, tenant, state, classes[], shared_with[], url?}]}`: what could not be carried
      out; seconds between the two closest times of a schedule, absent where it cannot be read; the publisher's side of each
      subscription, `url` as above for the address that events are sent to
    - `event`: for flows of events. To the exchange: `{declared, classes[], schema_errors[{pointer, message}]}`. To a
      subscriber: `{known, subscribed, published, tenant, state, classes[], shared_with[], subscriber{name, tenant, state,
      classes[], pii[], residency[]}}`: whether its last deploy subscribes and the publisher's still publishes; the four that
      follow are the publisher's
    - `approval`: where a connector is approved: `{by, role, team, owner, digest, given[{as, by}]}`: who asks, and as what
      they signed in; the registered document's owner and digest, and who approved that document before
    - `approvals`: `[{by, role, digest, scope, expires_at}]`: those given for this very request digest
    - `unavailable`: `["pii", …]`: stages that could not answer
    """
    digest: str
    """`sha256:<hex>` over `text`."""
    text: str = ""
    """Canonical JSON of `values`."""
