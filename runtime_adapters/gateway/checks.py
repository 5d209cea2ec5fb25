"""What a state must hold before anything is made of it: names that are names, and no app in another's place.

One wrong app stops the whole change and is named; what serves goes on serving.
"""

from __future__ import annotations

import ipaddress
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from runtime_adapters.gateway.redaction import KINDS
from runtime_adapters.gateway.state import GatewayRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime_adapters.gateway.state import AppRoute, Backend, Endpoint, GatewayState, JwtProvider

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PREFIX = re.compile(r"/|(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
# The kernel's limit for the path of a socket is 107 bytes (unix(7)).
_SOCKET = re.compile(r"unix:/[A-Za-z0-9._/~-]{1,106}")
_ALL = 100
_MOST_HOPS = 9
_HEX = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{1,32}")
_WORD = re.compile(r"[a-z0-9._-]{1,63}|\*")
_HEADER = re.compile(r"[a-z0-9-]{1,64}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_VALUE = re.compile(r"[\x21-\x7e]{1,256}")
_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


def check(state: GatewayState) -> None:
    """Raises GatewayRefusal naming the first thing that is wrong."""
    _unique("listener", (listener.name for listener in state.listeners))
    _unique("listener port", (f"{listener.address}:{listener.port}" for listener in state.listeners))
    for listener in state.listeners:
        _match(_NAME, listener.name, "listener", "name")
        _match(_VALUE, listener.region, f"listener {listener.name}", "region")
        _check_port(listener.port, f"listener {listener.name}")
        if not 0 <= listener.trusted_hops <= _MOST_HOPS:
            raise GatewayRefusal(f"listener {listener.name}: {listener.trusted_hops} trusted hops; 0 to {_MOST_HOPS}")
    _unique("app", (app.app for app in state.apps))
    for app in state.apps:
        _check_app(app, state)
    _check_places(state)
    _unique("key", (key.id for key in state.keys))
    for key in state.keys:
        _match(_KEY_ID, key.id, "key", "id")
        _match(_HEX, key.sha256, f"key {key.id}", "hash")
        for word in (key.role, *filter(None, [key.tenant]), *key.apps):
            _match(_WORD, word, f"key {key.id}", "role, tenant or app")
        if "*" in {key.role, key.tenant, *key.apps}:
            raise GatewayRefusal(f"key {key.id}: `*` is no role, tenant or app")
    if state.collector is not None:
        _check_endpoint(state.collector.endpoint, "collector")
        if not 0 <= state.collector.percent <= _ALL:
            raise GatewayRefusal(f"collector: {state.collector.percent} percent")
    _unique("token issuer", (provider.issuer for provider in state.providers))
    _unique("token provider", (provider.name for provider in state.providers))
    for provider in state.providers:
        _check_provider(provider)


def _check_app(app: AppRoute, state: GatewayState) -> None:
    where = f"app {app.app[:63]!r}"
    _match(_NAME, app.app, where, "name")
    _match(_NAME, app.tenant, where, "tenant")
    if not app.hosts or not app.backends:
        raise GatewayRefusal(f"{where} has no {'host' if not app.hosts else 'backend'}")
    for host in app.hosts:
        _match(_HOST, host, where, "host")
    _match(_PREFIX, app.prefix, where, "prefix")
    if any(part in {".", ".."} for part in app.prefix.split("/")):
        raise GatewayRefusal(f"{where}: the prefix {app.prefix!r} holds a dot segment")
    _check_backends(app, where)
    _check_grants(app, where)
    if app.rate is not None and (app.rate.requests < 1 or app.rate.per_s < 1):
        raise GatewayRefusal(f"{where}: a rate below one request or one second")
    if min(app.limits) < 0 or not 0 < app.limits.timeout_ms <= 3_600_000:
        raise GatewayRefusal(f"{where}: a limit below zero, or a time-out outside 1 ms to 1 h")
    unknown = sorted(set(app.redact) - set(KINDS))
    if unknown:
        raise GatewayRefusal(f"{where}: nothing can cut out {unknown[0]!r}; known are {', '.join(KINDS)}")
    if (app.asks or app.holds_answers) and state.service is None:
        raise GatewayRefusal(f"{where} asks the decision service, and there is none in the state")
    if app.holds_answers and not (app.asks or app.limits.request_bytes):
        raise GatewayRefusal(f"{where} would answer a request that has not ended, and such an answer is not held")
    if app.cors is not None:
        _check_each(_ORIGIN, app.cors.origins, where, "origin")
        _check_each(_METHOD, app.cors.methods, where, "method")
        _check_each(_HEADER, app.cors.headers, where, "header")


def _check_grants(app: AppRoute, where: str) -> None:
    for grant in app.grants:
        for words, pattern in ((grant.roles, _WORD), (grant.tenants, _WORD), (grant.methods, _METHOD)):
            for word in words:
                _match(pattern, word, where, "grant")
        if not grant.roles or not grant.tenants or "*" in grant.roles:
            raise GatewayRefusal(f"{where}: a grant names its roles and its tenants")


def _check_backends(app: AppRoute, where: str) -> None:
    _unique(f"{where}: backend", (backend.name for backend in app.backends))
    for backend in app.backends:
        _match(_NAME, backend.name, where, "backend")
        if not backend.endpoints or backend.weight < 0:
            raise GatewayRefusal(f"{where}: backend {backend.name!r} has no endpoint, or a weight below 0")
        for endpoint in backend.endpoints:
            _check_endpoint(endpoint, where)
        _check_same_sort(backend, where)
    if not 0 < sum(backend.weight for backend in app.backends) <= 1_000_000:
        raise GatewayRefusal(f"{where}: no backend has a weight, so nothing would answer")
    known = {backend.name for backend in app.backends}
    for cohort in app.cohorts:
        _match(_HEADER, cohort.header, where, "cohort header")
        _match(_VALUE, cohort.value, where, "cohort value")
    for named in (*(cohort.backend for cohort in app.cohorts), *filter(None, [app.mirror])):
        if named not in known:
            raise GatewayRefusal(f"{where}: there is no backend {named!r}; it has {', '.join(sorted(known))}")


def _check_same_sort(backend: Backend, where: str) -> None:
    if len({(is_address(endpoint.host), is_socket(endpoint.host)) for endpoint in backend.endpoints}) > 1:
        raise GatewayRefusal(f"{where}: backend {backend.name!r} mixes addresses, names and sockets")
    if bool(backend.ca_file) != bool(backend.server_name):
        raise GatewayRefusal(f"{where}: backend {backend.name!r}: TLS needs both ca_file and server_name")


def _check_places(state: GatewayState) -> None:
    """No two apps in one place, and no app below another's prefix."""
    taken: dict[str, list[AppRoute]] = {}
    for app in state.apps:
        for host in app.hosts:
            taken.setdefault(host, []).append(app)
    shared = set(state.shared_hosts)
    for host, apps in taken.items():
        if len(apps) == 1:
            continue
        if host not in shared:
            raise GatewayRefusal(f"app {apps[1].app!r}: host {host!r} belongs to app {apps[0].app!r}")
        _check_prefixes(host, apps)
        origins = {app.cors for app in apps}
        if len(origins) > 1:
            raise GatewayRefusal(
                f"app {apps[1].app!r}: host {host!r} is one origin, so its apps share one CORS setting"
            )


def _check_prefixes(host: str, apps: list[AppRoute]) -> None:
    by_prefix: dict[str, AppRoute] = {}
    for app in apps:
        other = by_prefix.setdefault(app.prefix, app)
        if other is not app:
            raise GatewayRefusal(f"app {app.app!r}: {host}{app.prefix} belongs to app {other.app!r}")
    for app in apps:
        parts = app.prefix.split("/")
        above = ["/", *("/".join(parts[:end]) for end in range(2, len(parts)))] if app.prefix != "/" else []
        for prefix in above:
            if prefix in by_prefix:
                other = by_prefix[prefix]
                raise GatewayRefusal(f"app {app.app!r}: {host}{app.prefix} lies within {prefix} of app {other.app!r}")


def _check_provider(provider: JwtProvider) -> None:
    where = f"token provider {provider.name[:63]!r}"
    _match(_NAME, provider.name, where, "name")
    _match(_VALUE, provider.issuer, where, "issuer")
    if not provider.audiences:
        raise GatewayRefusal(f"{where}: without an audience, tokens for anybody would count")
    for claim in (provider.role_claim, provider.tenant_claim):
        _match(_CLAIM, claim, where, "claim")
    if provider.tenant:
        _match(_NAME, provider.tenant, where, "tenant")
    try:
        keys = json.loads(provider.jwks)["keys"]
        kinds = {key["kty"] for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayRefusal(f"{where}: no JSON Web Key Set") from error
    if not keys or kinds - {"RSA", "EC", "OKP"}:
        raise GatewayRefusal(f"{where}: a key set holds public keys: RSA, EC or OKP, at least one")


def _check_endpoint(endpoint: Endpoint, where: str) -> None:
    if is_socket(endpoint.host):
        _match(_SOCKET, endpoint.host, where, "path of a socket")
        return
    if not is_address(endpoint.host):
        _match(_HOST, endpoint.host, where, "endpoint")
    _check_port(endpoint.port, where)


def is_socket(host: str) -> bool:
    """Whether it is a socket on the gateway's own host."""
    return host.startswith("unix:")


@lru_cache(maxsize=65_536)
def is_address(host: str) -> bool:
    """Whether it is an IP address, which needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_port(port: int, where: str) -> None:
    if not 0 < port < 65536:
        raise GatewayRefusal(f"{where}: port {port} is none")


def _check_each(pattern: re.Pattern[str], values: Iterable[str], where: str, what: str) -> None:
    for value in values:
        _match(pattern, value, where, what)


def _match(pattern: re.Pattern[str], value: str, where: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise GatewayRefusal(f"{where}: {value[:80]!r} is no {what}")


def _unique(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise GatewayRefusal(f"{what} {value!r} is there twice")
        seen.add(value)
