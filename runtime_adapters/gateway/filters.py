"""The filters that every call passes, in their order, and what is said to them per route.

Keys, token issuers and the decision service are files of their own (extension discovery): a change of them holds from the next
request on, also on connections that are open, and leaves the token buckets of the routes as full as they are. Whatever a route
does not say is closed: RBAC without a route's own rules lets nobody in, and the decision service is asked unless a route says
it need not be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.checks import is_socket
from runtime_adapters.gateway.state import DecisionService, Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime_adapters.gateway.state import AppRoute, Cors, GatewayState, Grant

    Json = dict[str, Any]

IDENTITY, TOKENS = "identity", "envoy.filters.http.jwt_authn"
REQUESTS, ANSWERS, HELD = "requests", "answers", "held"
RBAC, RATE, BUFFER = "envoy.filters.http.rbac", "envoy.filters.http.local_ratelimit", "envoy.filters.http.buffer"
CORS, ASK = "envoy.filters.http.cors", "envoy.filters.http.ext_authz"
SERVICE_CLUSTER, COLLECTOR_CLUSTER = "decision-service", "collector"
# Headers that say who calls, from where and for what, or what was decided: only the gateway writes them.
OURS = (
    "x-app", "x-tenant", "x-role", "x-subject", "x-region", "x-connector", "x-scopes", "x-decision-id",
    "x-governance-obligations", "x-original-url", "x-original-uri", "x-original-host",
    "x-original-method", "x-rewrite-url", "x-host", "x-http-method", "x-http-method-override", "x-method-override",
    "x-real-ip", "x-client-ip", "true-client-ip", "forwarded", "proxy-authorization",
)  # fmt: skip
# The same, by their beginning. `x-envoy-` would choose retries and time-outs; `x-forwarded-` (another host or caller) goes too,
# but for the addresses of callers behind proxies that a listener trusts.
OURS_BY_PREFIX = ("x-envoy-", "x-governance-")
# Which only an answer of the app has: `held.lua` and `answers.lua` tell it by this from what the gateway says itself; the last
# of them takes it off, or the route where there is none.
FROM_APP = "x-envoy-upstream-service-time"
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.http"
_SKEW_S = 30
# Where the claims of a verified token stand between two filters; `identity.lua` takes it off.
VERIFIED = "x-governance-verified"
# What a caller hears of a no.
_TOLD = ("x-decision-id", "content-type", "retry-after")
# A filter that a route does without is not even made for its calls: 1 to 4 us of CPU each.
_LEFT_OUT = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
_NOBODY = DecisionService(Endpoint("127.0.0.1", 1), "")


def http_filters(named: Mapping[str, Json]) -> list[Json]:
    """The chain. `named`: how the filters that change by themselves are found, by their name."""
    cors, rbac, rate = _typed("cors.v3.Cors"), _typed("rbac.v3.RBAC"), _typed("local_ratelimit.v3.LocalRateLimit")
    chain = [
        {"name": CORS, "typed_config": cors},
        {"name": TOKENS, **named[TOKENS]},
        {"name": IDENTITY, **named[IDENTITY]},
        {"name": RBAC, "typed_config": {**rbac, "rules": {"action": "ALLOW", "policies": {}}}},
        {"name": RATE, "typed_config": {**rate, "stat_prefix": "apps"}},
        {"name": BUFFER, "typed_config": {**_typed("buffer.v3.Buffer"), "max_request_bytes": 1_048_576}},
        {"name": ASK, **named[ASK]},
    ]
    chain.append({"name": REQUESTS, "typed_config": _lua(_source("answers.lua") + _source("requests.lua"))})
    chain.append({"name": ANSWERS, "typed_config": _lua(_source("answers.lua"))})
    # An answer comes back the other way round: what the app said is decided on before anything is cut out of it.
    chain.append({"name": HELD, **named[HELD]})
    chain.append({"name": "envoy.filters.http.router", "typed_config": _typed("router.v3.Router")})
    return chain


def identity_filter(state: GatewayState) -> Json:
    """Keys by their hashes, and which claims of which issuer say who somebody is."""
    keys = "".join(
        f"{key.id} {key.sha256} {key.role} {key.tenant or '-'} {','.join(key.apps) or '-'} {key.expires_at}\n"
        for key in state.keys
    )
    providers = "".join(f"{p.name} {p.role_claim} {p.tenant_claim} {p.tenant or '-'}\n" for p in state.providers)
    return _lua(_source("identity.lua").replace("@KEYS@", "\n" + keys).replace("@PROVIDERS@", "\n" + providers))


def tokens_filter(state: GatewayState) -> Json:
    """A token that is there has to be good; that there is one is asked by `identity.lua`."""
    names = [provider.name for provider in state.providers]
    config: Json = {**_typed("jwt_authn.v3.JwtAuthentication")}
    if not names:
        return config
    config["providers"] = {
        provider.name: {
            "issuer": provider.issuer,
            "audiences": list(provider.audiences),
            "local_jwks": {"inline_string": provider.jwks},
            # Without this, `?access_token=` would count as well, and stand in logs.
            "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
            "payload_in_metadata": provider.name,
            "forward_payload_header": VERIFIED,
            "require_expiration": True,
            "clock_skew_seconds": _SKEW_S,
            "jwt_cache_config": {"jwt_cache_size": 1000},
        }
        for provider in state.providers
    }
    some = [*({"provider_name": name} for name in names), {"allow_missing": {}}]
    # No filter work for calls without one; what says nothing here is a caller without a token, as `allow_missing` has it.
    shown = {"prefix": "/", "headers": [{"name": "authorization", "present_match": True}]}
    config["rules"] = [{"match": shown, "requires": {"requires_any": {"requirements": some}}}]
    return config


def per_route(app: AppRoute) -> Json:
    """What the filters do for one app."""
    config: Json = {
        RBAC: {**_typed("rbac.v3.RBACPerRoute"), "rbac": {"rules": {"action": "ALLOW", "policies": _policies(app)}}}
    }
    if app.limits.request_bytes:
        size = {"max_request_bytes": app.limits.request_bytes}
        config[BUFFER] = {**_typed("buffer.v3.BufferPerRoute"), "buffer": size}
    else:
        config[BUFFER] = {**_typed("buffer.v3.BufferPerRoute"), "disabled": True}
    if not app.asks:
        config[ASK] = _LEFT_OUT
    if not looks_into_answers(app):
        config[ANSWERS] = _LEFT_OUT
    if not app.redacts_requests:
        config[REQUESTS] = _LEFT_OUT
    if not app.holds_answers:
        config[HELD] = _LEFT_OUT
    if app.rate is not None:
        everybody = {"default_value": {"numerator": 100}}
        config[RATE] = {
            **_typed("local_ratelimit.v3.LocalRateLimit"),
            "stat_prefix": "apps",
            "token_bucket": {
                "max_tokens": app.rate.requests,
                "tokens_per_fill": app.rate.requests,
                "fill_interval": f"{app.rate.per_s}s",
            },
            "filter_enabled": everybody,
            "filter_enforced": everybody,
        }
    config[CORS] = _LEFT_OUT if app.cors is None else _cors(app.cors)
    return config


def route_metadata(app: AppRoute, region: str) -> Json:
    """`region`: of the listener. What the two scripts and the access log read of a route."""
    answers: Json = {}
    if app.redact:
        answers["redact"] = ",".join(app.redact)
    if app.limits.response_bytes:
        answers["most"] = app.limits.response_bytes
    # One text, since each look of a script at metadata costs as much as taking it apart.
    said = {"app": app.app, "region": region, "public": _word(app.is_public), "cohorts": _word(bool(app.cohorts))}
    if app.redacts_requests:
        said["carries"] = "redact"
    identity = {"route": " ".join(f"{name}={value}" for name, value in said.items())}
    about = {"app": app.app, "tenant": app.tenant, "decision_id": app.decision_id}
    found = {IDENTITY: identity, ANSWERS: answers, "about": about}
    if app.holds_answers:
        found[HELD] = {"last": not looks_into_answers(app)}
    return {"filter_metadata": found}


def looks_into_answers(app: AppRoute) -> bool:
    """Whether `answers.lua` stands in the way of the app's answers."""
    return bool(app.redact or app.limits.response_bytes)


def _policies(app: AppRoute) -> Json:
    policies: Json = {f"grant-{number}": _policy(grant) for number, grant in enumerate(app.grants)}
    if app.is_public:
        policies["public"] = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    return policies


def _policy(grant: Grant) -> Json:
    methods = [
        {"header": {"name": ":method", "string_match": {"exact": method}}} for method in grant.methods
    ]  # fmt: skip
    tenants = [
        _says("x-tenant", {"present_match": True} if name == "*" else {"string_match": {"exact": name}})
        for name in grant.tenants
    ]
    roles = [_says("x-role", {"string_match": {"exact": role}}) for role in grant.roles]
    both = {"and_ids": {"ids": [{"or_ids": {"ids": roles}}, {"or_ids": {"ids": tenants}}]}}
    return {"permissions": methods or [{"any": True}], "principals": [both]}


def _says(name: str, value: Json) -> Json:
    """A header that `identity.lua` alone writes; what a caller sent under its name is gone."""
    return {"header": {"name": name, **value}}


def _word(value: bool) -> str:  # noqa: FBT001
    return "yes" if value else "no"


def _cors(cors: Cors) -> Json:
    return {
        **_typed("cors.v3.CorsPolicy"),
        "allow_origin_string_match": [{"exact": origin} for origin in cors.origins],
        "allow_methods": ", ".join(cors.methods),
        "allow_headers": ", ".join(cors.headers),
        "max_age": str(cors.max_age_s),
        "allow_credentials": False,
        "forward_not_matching_preflights": False,
    }


def ask_filter(state: GatewayState) -> Json:
    """The question to the decision service; where there is none, nobody answers, which is a no."""
    service = state.service or _NOBODY
    scheme = "https" if service.ca_file else "http"
    return {
        **_typed("ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "with_request_body": {"max_request_bytes": 1_048_576, "allow_partial_message": False},
        # All of them: a rule set that looks for attacks has to see what the app would see.
        "allowed_headers": {"patterns": [{"safe_regex": {"regex": ".+"}}]},
        # What the caller's client can unpack says nothing about what we can.
        "disallowed_headers": {"patterns": [{"exact": "accept-encoding"}]},
        "http_service": {
            "server_uri": {
                "uri": f"{scheme}://{service.server_name or service.endpoint.host}",
                "cluster": SERVICE_CLUSTER,
                "timeout": f"{service.timeout_ms / 1000}s",
            },
            "path_prefix": "/ext-authz",
            "authorization_request": {"headers_to_add": [{"key": "x-api-key", "value": service.key}]},
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": "x-decision-id"}]},
                "dynamic_metadata_from_headers": {"patterns": [{"exact": "x-governance-redact"}]},
                "allowed_client_headers": {"patterns": [{"exact": name} for name in _TOLD]},
            },
        },
    }


def held_filter(state: GatewayState) -> Json:
    """The question about answers; where there is no decision service, nobody answers, which is a no."""
    service = state.service or _NOBODY
    authority = service.server_name or ("localhost" if is_socket(service.endpoint.host) else service.endpoint.host)
    source = _source("held.lua").replace("@KEY@", _quoted(service.key)).replace("@AUTHORITY@", _quoted(authority))
    return _lua(source.replace("@PATIENCE_MS@", str(service.timeout_ms)))


def _quoted(text: str) -> str:
    """A Lua string of these bytes, whatever they are."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def _lua(source: str) -> Json:
    return {**_typed("lua.v3.Lua"), "default_source_code": {"inline_string": source}}


def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _typed(name: str) -> Json:
    return {"@type": f"{_EXTENSIONS}.{name}"}


def text_of(value: Any) -> str:
    """JSON, the same for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
