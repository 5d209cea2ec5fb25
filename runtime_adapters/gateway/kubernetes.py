"""The same state for a cluster: Gateway API's HTTPRoute, and Envoy Gateway's SecurityPolicy and BackendTrafficPolicy.

An app that asks the decision service is reached through this gateway, which runs in the cluster: its HTTPRoute leads to the
Service `gateway-<listener>` in the namespace `microapp-gateway`, and a NetworkPolicy lets nobody else into its pods. So keys,
questions, redaction and all the rest are what they are anywhere; Envoy Gateway's own filters cannot ask with a key that no app
hears, nor change bodies. An app that asks nobody becomes routes and policies that Envoy Gateway carries out itself.

An app with something that these kinds cannot say is left out and named in a comment, never served with less. Left out is a
listener that wants certificates of its callers; of apps that ask nobody, what is cut out of answers, mirrors of a version
without a service, grants to every tenant for an issuer that speaks for several, and API keys, of which Envoy Gateway wants the
plain text. Pure: the same state gives the same text. Formats: gateway-api.sigs.k8s.io/v1, gateway.envoyproxy.io/v1alpha1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.checks import check, is_socket

if TYPE_CHECKING:
    from runtime_adapters.gateway.state import AppRoute, GatewayState, Grant, JwtProvider, Listener

    Json = dict[str, Any]

_NAMESPACE = "microapp-gateway"
_API, _ENVOY = "gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1"


def manifests(state: GatewayState) -> str:
    """YAML documents, app by app. Each app lives in its tenant's namespace; a version is the Service `<app>-<version>`."""
    check(state)
    texts = [
        _text(_front(listener))
        for listener in state.listeners
        if any(app.asks and listener in _listeners(app, state) and not _beyond(app, state) for app in state.apps)
    ]
    for app in state.apps:
        reason = _beyond(app, state)
        if reason:
            texts.append(f"# app {app.app} is left out: {reason}\n")
            continue
        documents = (
            _through_gateway(app, state) if app.asks else [_route(app, state), _security(app, state), _traffic(app)]
        )
        texts.append(_text(documents))
    return "".join(texts)


def _text(documents: list[Json]) -> str:
    import yaml

    return "".join("---\n" + yaml.safe_dump(one, sort_keys=False, width=120) for one in documents)


def _beyond(app: AppRoute, state: GatewayState) -> str:
    if any(is_socket(endpoint.host) for backend in app.backends for endpoint in backend.endpoints):
        return "a socket of this host is no Service"
    if not _listeners(app, state):
        return "no listener is in one of its regions"
    if app.asks:
        wants = any(listener.tls and listener.tls.client_ca for listener in _listeners(app, state))
        return "the gateway's listener wants a certificate that the cluster's Gateway has not" if wants else ""
    if app.redact or app.limits.response_bytes:
        return "answers are not looked into there"
    is_wide = any("*" in grant.tenants for grant in app.grants)
    if is_wide and any(not provider.tenant for provider in state.providers):
        return "a grant to every tenant would let in a caller without one"
    return ""


def _listeners(app: AppRoute, state: GatewayState) -> list[Listener]:
    return [listener for listener in state.listeners if listener.region in app.regions]


def _through_gateway(app: AppRoute, state: GatewayState) -> list[Json]:
    """The way to the app through the gateway, and none beside it."""
    documents: list[Json] = []
    for listener in _listeners(app, state):
        name = f"{app.app}-{listener.name}"
        meta = {**_meta(app), "name": name, "namespace": _NAMESPACE}
        service = f"gateway-{listener.name}"
        rule = {
            "matches": [{"path": {"type": "PathPrefix", "value": app.prefix}}],
            "backendRefs": [{"name": service, "port": listener.port}],
            "timeouts": {"request": f"{app.limits.timeout_ms}ms"},
        }
        parents = [{"name": "microapps", "namespace": _NAMESPACE, "sectionName": listener.name}]
        spec = {"parentRefs": parents, "hostnames": list(app.hosts), "rules": [rule]}
        documents.append({"apiVersion": _API, "kind": "HTTPRoute", "metadata": meta, "spec": spec})
    return [*documents, _network(app)]


def _network(app: AppRoute) -> Json:
    """Whoever reaches the app's port goes round every question; so only pods of the gateway's namespace do."""
    ports = sorted({endpoint.port for backend in app.backends for endpoint in backend.endpoints})
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": _NAMESPACE}}}
    spec = {
        "podSelector": {"matchLabels": {"microapps.internal/app": app.app}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [gateway], "ports": [{"port": port, "protocol": "TCP"} for port in ports]}],
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": _meta(app), "spec": spec}


def _front(listener: Listener) -> list[Json]:
    """Where the gateway's pods answer for one listener, and how the cluster's Gateway knows that it is them."""
    name = f"gateway-{listener.name}"
    meta = {"name": name, "namespace": _NAMESPACE}
    ports = [{"name": "apps", "port": listener.port, "targetPort": listener.port}]
    service: Json = {
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"selector": {"microapps.internal/gateway": listener.name}, "ports": ports},
    }  # fmt: skip
    if listener.tls is None:
        return [service]
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": name}],
        "validation": {
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": f"{name}-ca"}],
            "hostname": f"{name}.{_NAMESPACE}.svc",
        },
    }
    return [service, {"apiVersion": _API, "kind": "BackendTLSPolicy", "metadata": meta, "spec": spec}]


def _meta(app: AppRoute) -> Json:
    marks = {"microapps.internal/app": app.app, "microapps.internal/tenant": app.tenant}
    decision = {"microapps.internal/decision": app.decision_id}
    return {"name": app.app, "namespace": app.tenant, "labels": marks, "annotations": decision}


def _route(app: AppRoute, state: GatewayState) -> Json:
    path = {"path": {"type": "PathPrefix", "value": app.prefix}}
    filters: list[Json] = []
    if app.mirror:
        filters = [{"type": "RequestMirror", "requestMirror": {"backendRef": _ref(app, app.mirror)}}]
    rules: list[Json] = [
        {
            "matches": [{**path, "headers": [{"name": cohort.header, "value": cohort.value}]}],
            "backendRefs": [_ref(app, cohort.backend)],
        }
        for cohort in app.cohorts
    ]
    weighted = [{**_ref(app, one.name), "weight": one.weight} for one in app.backends]
    rules.append({"matches": [path], "backendRefs": weighted})
    for rule in rules:
        rule["timeouts"] = {"request": f"{app.limits.timeout_ms}ms"}
        if filters:
            rule["filters"] = filters
    parents = [
        {"name": "microapps", "namespace": _NAMESPACE, "sectionName": listener.name}
        for listener in _listeners(app, state)
    ]
    spec = {"parentRefs": parents, "hostnames": list(app.hosts), "rules": rules}
    return {"apiVersion": _API, "kind": "HTTPRoute", "metadata": _meta(app), "spec": spec}


def _ref(app: AppRoute, backend: str) -> Json:
    (found,) = (one for one in app.backends if one.name == backend)
    return {"name": f"{app.app}-{backend}", "port": found.endpoints[0].port}


def _security(app: AppRoute, state: GatewayState) -> Json:
    spec: Json = {"targetRefs": [_target(app)]}
    if app.cors is not None:
        spec["cors"] = {
            "allowOrigins": list(app.cors.origins),
            "allowMethods": list(app.cors.methods),
            "allowHeaders": list(app.cors.headers),
            "maxAge": f"{app.cors.max_age_s}s",
        }
    if state.providers:
        spec["jwt"] = {"optional": app.is_public, "providers": [_provider(one) for one in state.providers]}
    if not app.is_public:
        rules = [
            rule
            for number, grant in enumerate(app.grants)
            for provider in state.providers
            for rule in _rules(number, grant, provider)
        ]
        spec["authorization"] = {"defaultAction": "Deny", "rules": rules}
    return {"apiVersion": _ENVOY, "kind": "SecurityPolicy", "metadata": _meta(app), "spec": spec}


def _provider(provider: JwtProvider) -> Json:
    return {
        "name": provider.name,
        "issuer": provider.issuer,
        "audiences": list(provider.audiences),
        "localJWKS": {"type": "Inline", "inline": provider.jwks},
    }


def _rules(number: int, grant: Grant, provider: JwtProvider) -> list[Json]:
    claims: list[Json] = [{"name": provider.role_claim, "valueType": "String", "values": list(grant.roles)}]
    if not provider.tenant:
        claims.append({"name": provider.tenant_claim, "valueType": "String", "values": list(grant.tenants)})
    elif not {"*", provider.tenant} & set(grant.tenants):
        return []
    rule: Json = {
        "name": f"grant-{number}-{provider.name}",
        "action": "Allow",
        "principal": {"jwt": {"provider": provider.name, "claims": claims}},
    }
    if grant.methods:
        rule["operation"] = {"methods": list(grant.methods)}
    return [rule]


def _traffic(app: AppRoute) -> Json:
    limits, ejection = app.limits, app.ejection
    breaker = {
        "maxConnections": limits.connections,
        "maxPendingRequests": limits.pending,
        "maxParallelRequests": limits.requests,
    }
    spec: Json = {
        "targetRefs": [_target(app)],
        "circuitBreaker": {name: value for name, value in breaker.items() if value},
        "healthCheck": {
            "passive": {
                "consecutive5XxErrors": ejection.consecutive_5xx,
                "baseEjectionTime": f"{ejection.for_s}s",
                "maxEjectionPercent": ejection.at_most_percent,
            }
        },
    }
    if limits.request_bytes:
        spec["requestBuffer"] = {"limit": str(limits.request_bytes)}
    if app.rate is not None:
        minutes = {1: "Second", 60: "Minute", 3600: "Hour"}
        unit = minutes.get(app.rate.per_s)
        # Another period is told as its rate a second, rounded down: never more than was meant.
        limit = {"requests": app.rate.requests, "unit": unit} if unit else _a_second(app.rate.requests, app.rate.per_s)
        spec["rateLimit"] = {"type": "Local", "local": {"rules": [{"limit": limit}]}}
    return {"apiVersion": _ENVOY, "kind": "BackendTrafficPolicy", "metadata": _meta(app), "spec": spec}


def _a_second(requests: int, per_s: int) -> Json:
    return {"requests": max(1, requests // per_s), "unit": "Second"}


def _target(app: AppRoute) -> Json:
    return {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": app.app}
