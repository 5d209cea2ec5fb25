"""Where apps and the decision service answer: a cluster for each version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.checks import is_address, is_socket
from runtime_adapters.gateway.filters import COLLECTOR_CLUSTER, SERVICE_CLUSTER
from runtime_adapters.gateway.routes import cluster_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime_adapters.gateway.state import AppRoute, Backend, Endpoint, GatewayState

    Json = dict[str, Any]


def clusters(state: GatewayState) -> Iterator[Json]:
    """All of them, in the state's order; one by one, since thousands of them at once are work for Python's collector."""
    yield from (_app_cluster(app, backend) for app in state.apps for backend in app.backends)
    service = state.service
    if service is not None:
        yield _cluster(SERVICE_CLUSTER, (service.endpoint,), service.ca_file, service.server_name)
    if state.collector is not None:
        yield _cluster(COLLECTOR_CLUSTER, (state.collector.endpoint,), "", "")


def _app_cluster(app: AppRoute, backend: Backend) -> Json:
    limits, ejection = app.limits, app.ejection
    found = _cluster(cluster_name(app, backend.name), backend.endpoints, backend.ca_file, backend.server_name)
    found["circuit_breakers"] = {
        "thresholds": [
            {
                "max_connections": limits.connections or 4_294_967_295,
                "max_pending_requests": limits.pending or 4_294_967_295,
                "max_requests": limits.requests or 4_294_967_295,
                "max_retries": limits.retries,
            }
        ]
    }
    found["outlier_detection"] = {
        "consecutive_5xx": ejection.consecutive_5xx,
        "base_ejection_time": f"{ejection.for_s}s",
        "max_ejection_percent": ejection.at_most_percent,
    }
    return found


def _cluster(name: str, endpoints: tuple[Endpoint, ...], ca_file: str, server_name: str) -> Json:
    found: Json = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC" if is_address(endpoints[0].host) or is_socket(endpoints[0].host) else "STRICT_DNS",
        "connect_timeout": "2s",
        "per_connection_buffer_limit_bytes": 1_048_576,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(endpoint)}} for endpoint in endpoints]}],
        },
    }
    if ca_file:
        same_name = {"san_type": "DNS", "matcher": {"exact": server_name}}
        found["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": server_name,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": ca_file},
                        "match_typed_subject_alt_names": [same_name],
                    }
                },
            },
        }
    return found


def _address(endpoint: Endpoint) -> Json:
    if is_socket(endpoint.host):
        return {"pipe": {"path": endpoint.host.removeprefix("unix:")}}
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
