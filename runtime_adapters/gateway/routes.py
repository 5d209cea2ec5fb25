"""Which call belongs to which app, and which of its versions answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.filters import FROM_APP, OURS, looks_into_answers, per_route, route_metadata

if TYPE_CHECKING:
    from runtime_adapters.gateway.state import AppRoute, GatewayState, Listener

    Json = dict[str, Any]

_HARDENED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_TELLING = ("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", *OURS)


def cluster_name(app: AppRoute, backend: str) -> str:
    """The name of one version's cluster."""
    return f"{app.app}/{backend}"


def route_configuration(state: GatewayState, listener: Listener) -> Json:
    """The routes of the apps that may be served in the listener's region."""
    apps = [app for app in state.apps if listener.region in app.regions]
    shared: dict[str, list[AppRoute]] = {}
    hosts: list[Json] = []
    for app in apps:
        own = [host for host in app.hosts if host not in state.shared_hosts]
        for host in app.hosts:
            if host in state.shared_hosts:
                shared.setdefault(host, []).append(app)
        if own:
            # On the host: an app's bucket of requests is then one, however many routes lead to it.
            config, routes = per_route(app), _routes(app, listener.region)
            hosts.append(
                {"name": app.app, "domains": _domains(own), "routes": routes, "typed_per_filter_config": config}
            )
    hosts += [_shared_host(host, living, listener.region) for host, living in shared.items()]
    # Behind proxies of ours the app hears the one address that they vouch for, and none that a caller wrote before it.
    caller = {"key": "x-forwarded-for", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
    told = [{"header": caller, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}] if listener.trusted_hops else []
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": listener.name,
        "request_headers_to_add": told,
        "virtual_hosts": hosts,
        # Unknown clusters are refused by `checks`; here they would only make an order of updates fail.
        "validate_clusters": False,
        "response_headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in _headers(listener).items()
        ],
        "response_headers_to_remove": list(_TELLING),
        "most_specific_header_mutations_wins": True,
    }


def _headers(listener: Listener) -> dict[str, str]:
    secure = {"strict-transport-security": "max-age=31536000; includeSubDomains"} if listener.tls else {}
    return {**_HARDENED, **secure}


def _shared_host(host: str, apps: list[AppRoute], region: str) -> Json:
    routes: list[Json] = []
    for app in apps:
        config = per_route(app)
        routes += [{**route, "typed_per_filter_config": config} for route in _routes(app, region)]
    return {"name": f"host-{host}", "domains": _domains([host]), "routes": routes}


def _domains(hosts: list[str]) -> list[str]:
    return [domain for host in hosts for domain in (host, f"{host}:*")]


def _routes(app: AppRoute, region: str) -> list[Json]:
    """Cohorts first, then everybody by weight."""
    routes = [
        _route(app, region, {"cluster": cluster_name(app, cohort.backend)}, header=(cohort.header, cohort.value))
        for cohort in app.cohorts
    ]
    weighted = [
        {"name": cluster_name(app, backend.name), "weight": backend.weight}
        for backend in app.backends
        if backend.weight > 0
    ]
    target: Json = {"weighted_clusters": {"clusters": weighted}}
    if len(weighted) == 1:
        target = {"cluster": weighted[0]["name"]}
    return [*routes, _route(app, region, target)]


def _route(app: AppRoute, region: str, target: Json, header: tuple[str, str] | None = None) -> Json:
    match: Json = {"prefix": "/"} if app.prefix == "/" else {"path_separated_prefix": app.prefix}
    if header is not None:
        match["headers"] = [{"name": header[0], "string_match": {"exact": header[1]}}]
    action: Json = {**target, "timeout": f"{app.limits.timeout_ms / 1000}s"}
    if app.limits.retries:
        # Only what never reached the app: a second try of anything else could do a thing twice.
        action["retry_policy"] = {"retry_on": "connect-failure,refused-stream", "num_retries": app.limits.retries}
    if app.mirror:
        action["request_mirror_policies"] = [{"cluster": cluster_name(app, app.mirror)}]
    made: Json = {"match": match, "route": action, "metadata": route_metadata(app, region)}
    if looks_into_answers(app):
        # What is looked into, or counted, comes whole and as it is.
        made["request_headers_to_remove"] = ["accept-encoding", "range", "if-range"]
    elif not app.holds_answers:
        made["response_headers_to_remove"] = [FROM_APP]
    return made
