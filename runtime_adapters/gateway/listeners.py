"""The ports: TLS, what is refused before a filter sees it, and what is written down about every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.filters import COLLECTOR_CLUSTER, OURS, OURS_BY_PREFIX, http_filters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime_adapters.gateway.state import Collector, GatewayState, Listener, Tls

    Json = dict[str, Any]

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_EARLY = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
# RE2 looks at the whole name and cannot look ahead.
_FORWARDED_BUT_FOR = "x-forwarded-(|f|fo|[^f].*|f[^o].*|fo[^r].*|for.+)"
_LINE = {
    "at": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ:PATH)%",  # without the query, which may hold anything
    "status": "%RESPONSE_CODE%",
    "why": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "app": "%METADATA(ROUTE:about:app)%",
    "tenant": "%METADATA(ROUTE:about:tenant)%",
    "deploy_decision": "%METADATA(ROUTE:about:decision_id)%",
    "decision": "%REQ(X-DECISION-ID)%",
    "refusal": "%RESP(X-DECISION-ID)%",
    "caller": "%REQ(X-SUBJECT)%",
    "caller_tenant": "%REQ(X-TENANT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "traceparent": "%REQ(TRACEPARENT)%",
    "peer": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def listener_resource(state: GatewayState, listener: Listener, named: Mapping[str, Json], routes: Json) -> Json:
    """One listener. `routes`: where its routes come from, as members of the connection manager."""
    chain: Json = {"filters": [{"name": "http", "typed_config": _manager(state, listener, named, routes)}]}
    if listener.tls is not None:
        chain["transport_socket"] = _tls(listener.tls)
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": listener.name,
        "address": {"socket_address": {"address": listener.address, "port_value": listener.port}},
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [chain],
        # A renewed certificate lies in the same file; this is what makes the resource another one.
        "metadata": {"filter_metadata": {"certificate": {"mark": listener.tls.mark if listener.tls else ""}}},
    }


def _manager(state: GatewayState, listener: Listener, named: Mapping[str, Json], routes: Json) -> Json:
    removed: list[Json] = [{"remove": name} for name in OURS]
    removed += [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in OURS_BY_PREFIX]
    if listener.trusted_hops:
        forwarded = {"safe_regex": {"regex": _FORWARDED_BUT_FOR}}
        removed += [{"remove_on_match": {"key_matcher": forwarded}}]
    else:
        removed += [{"remove_on_match": {"key_matcher": {"prefix": "x-forwarded-"}}}]
    return {
        "@type": _HCM,
        "stat_prefix": "apps",
        "server_name": "gateway",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_trailing_host_dot": True,
        "use_remote_address": True,
        # Of `x-forwarded-for` so many from the right; what stands before them anybody may have written (see `routes`).
        "xff_num_trusted_hops": listener.trusted_hops,
        # Nobody counts as inside, whose headers about retries and time-outs would be believed.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "192.0.2.1", "prefix_len": 32}]},
        "forward_client_cert_details": "SANITIZE",
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        # Taken off before a route is chosen: no route, limit or retry is picked by what a caller wrote there.
        "early_header_mutation_extensions": [
            {"name": "names-are-ours", "typed_config": {"@type": _EARLY, "mutations": removed}}
        ],
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 100,
            "idle_timeout": "60s",
        },
        "http_protocol_options": {"accept_http_10": False},
        "http2_protocol_options": {"max_concurrent_streams": 100, "initial_stream_window_size": 65_536},
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "60s",
        "request_timeout": "60s",
        "http_filters": http_filters(named),
        "access_log": [_access_log(state.access_log)],
        **({"tracing": _tracing(state.collector)} if state.collector else {}),
        **routes,
    }


def _tracing(collector: Collector) -> Json:
    """A span a call, in the trace that the caller named, else in one of its own; it is handed on in `traceparent`."""
    return {
        "random_sampling": {"value": collector.percent},
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "service_name": "gateway",
                "http_service": {
                    "http_uri": {
                        "uri": f"http://{collector.endpoint.host}/v1/traces",
                        "cluster": COLLECTOR_CLUSTER,
                        "timeout": "2s",
                    }
                },
            },
        },
    }


def _access_log(path: str) -> Json:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": _LINE},
        },
    }


def _tls(tls: Tls) -> Json:
    pair = {"certificate_chain": {"filename": tls.certificate}, "private_key": {"filename": tls.key}}
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [pair],
    }
    if tls.client_ca:
        common["validation_context"] = {"trusted_ca": {"filename": tls.client_ca}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": bool(tls.client_ca),
        },
    }
