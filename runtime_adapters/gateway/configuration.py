"""From a state to Envoy's files: clusters, listeners, routes, keys and token issuers, each as filesystem discovery reads it.

Pure: the same state gives the same bytes. `folder` is where the files will lie, since they name each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.gateway.checks import check, is_address, is_socket
from runtime_adapters.gateway.clusters import clusters
from runtime_adapters.gateway.filters import (
    ASK,
    HELD,
    IDENTITY,
    TOKENS,
    ask_filter,
    held_filter,
    identity_filter,
    text_of,
    tokens_filter,
)
from runtime_adapters.gateway.listeners import listener_resource
from runtime_adapters.gateway.routes import route_configuration
from runtime_adapters.gateway.state import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime_adapters.gateway.state import AppRoute, GatewayState

    Json = dict[str, Any]

CLUSTERS, LISTENERS = "clusters.json", "listeners.json"
KEYS, ISSUERS, QUESTION, ANSWERING = "keys.json", "issuers.json", "question.json", "answering.json"
_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_ASK = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_JWT = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"

_NUMBERS = [
    *({"prefix": name} for name in ("cluster_manager.", "listener_manager.", "extension_config_", "http.", "server.")),
    *(
        {"suffix": name}
        for name in (".upstream_rq_total", ".upstream_rq_5xx", ".upstream_rq_time", ".membership_healthy")
    ),
]


def routes_file(listener: str) -> str:
    """The file with one listener's routes."""
    return f"routes-{listener}.json"


def render(state: GatewayState, folder: str) -> dict[str, str]:
    """File name to content, in an order in which they may be put in force. Raises GatewayRefusal; see `checks`."""
    check(state)
    discovered = {
        TOKENS: {"config_discovery": {"config_source": _source(folder, ISSUERS), "type_urls": [_JWT]}},
        IDENTITY: {"config_discovery": {"config_source": _source(folder, KEYS), "type_urls": [_LUA]}},
        ASK: {"config_discovery": {"config_source": _source(folder, QUESTION), "type_urls": [_ASK]}},
        HELD: {"config_discovery": {"config_source": _source(folder, ANSWERING), "type_urls": [_LUA]}},
    }
    files = {
        KEYS: _discovery([_extension(IDENTITY, identity_filter(state))]),
        ISSUERS: _discovery([_extension(TOKENS, tokens_filter(state))]),
        QUESTION: _discovery([_extension(ASK, ask_filter(state))]),
        ANSWERING: _discovery([_extension(HELD, held_filter(state))]),
        CLUSTERS: _discovery(clusters(state)),
    }
    for listener in state.listeners:
        files[routes_file(listener.name)] = _discovery([route_configuration(state, listener)])
    found = [
        listener_resource(
            state,
            listener,
            discovered,
            {
                "rds": {
                    "route_config_name": listener.name,
                    "config_source": _source(folder, routes_file(listener.name)),
                }
            },
        )
        for listener in state.listeners
    ]
    files[LISTENERS] = _discovery(found)
    return files


def static_configuration(state: GatewayState) -> str:
    """Everything in one file without discovery, which Envoy's `--mode validate` looks into as a whole."""
    check(state)
    named = {
        TOKENS: {"typed_config": tokens_filter(state)},
        IDENTITY: {"typed_config": identity_filter(state)},
        ASK: {"typed_config": ask_filter(state)},
        HELD: {"typed_config": held_filter(state)},
    }
    found = [
        listener_resource(state, listener, named, {"route_config": _untyped(route_configuration(state, listener))})
        for listener in state.listeners
    ]
    resources = {
        "listeners": [_untyped(listener) for listener in found],
        "clusters": [_untyped(cluster) for cluster in clusters(state)],
    }
    return text_of({"static_resources": resources})


def one_of_each(state: GatewayState, *, with_apps: bool = True) -> GatewayState:
    """The state with one app of every sort, for Envoy to look at: a thousand alike would take it seconds to say the same.

    Apps are of one sort when they differ in nothing but values of one type each, whose form `checks` has looked at, and which
    Envoy takes or refuses alike; files, which it opens, are compared as they are. Not `with_apps`: none at all, where they
    have been looked at before.
    """
    sorts: dict[object, AppRoute] = {}
    for app in state.apps if with_apps else ():
        sorts.setdefault(_sort_of(app), app)
    return state._replace(apps=tuple(sorts.values()))


def _sort_of(value: object) -> object:
    """A value's shape: tuples member by member, texts by whether they mean all or nothing, numbers by whether there are any."""
    if isinstance(value, Backend):
        socket = is_socket(value.endpoints[0].host)
        return value.ca_file, value.server_name, socket, is_address(value.endpoints[0].host), value.weight > 0
    if isinstance(value, tuple):
        return type(value).__name__, tuple(_sort_of(one) for one in value)
    if isinstance(value, str):
        return value if value in {"", "/", "*"} else "a text"
    if isinstance(value, int) and not isinstance(value, bool):
        return value > 0
    return value


def bootstrap(folder: str, admin_socket: str, node: str) -> str:
    """What Envoy is started with; it holds no app, so it never changes."""
    return text_of(
        {
            "node": {"id": node, "cluster": "gateway"},
            # A socket that only this account can open: whoever reaches it can end the gateway.
            "admin": {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}},
            "dynamic_resources": {"lds_config": _source(folder, LISTENERS), "cds_config": _source(folder, CLUSTERS)},
            # Of the hundred numbers of each cluster, those that are read: with a thousand apps the others take seconds.
            "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _NUMBERS}}},
            # And those are made by the first call of an app.
            "deferred_stat_options": {"enable_deferred_creation_stats": True},
            "overload_manager": {
                "resource_monitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections"
                            ".v3.DownstreamConnectionsConfig",
                            "max_active_downstream_connections": 50_000,
                        },
                    }
                ]
            },
        }
    )


def _source(folder: str, name: str) -> Json:
    path = {"path": f"{folder}/{name}", "watched_directory": {"path": folder}}
    return {"path_config_source": path, "resource_api_version": "V3"}


def _extension(name: str, config: Json) -> Json:
    kind = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    return {"@type": kind, "name": name, "typed_config": config}


def _discovery(resources: Iterable[Json]) -> str:
    """A DiscoveryResponse named by its own content, so that the version in the statistics says what serves."""
    import hashlib

    body = f"[{','.join(map(text_of, resources))}]"
    version = hashlib.sha256(body.encode()).hexdigest()[:16]
    return f'{{"version_info":"{version}","resources":{body}}}'


def _untyped(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "@type"}
