"""What the gateway is told: apps of allowed deploys, keys of this home, and the operator's file, in the gateway's words.

Who may call, what is cut out and how much one call may bring is policy data (`data.platform.gateway`) read with the spec that a
recorded decision allowed; the operator's file says where things are: ports, addresses, certificates, issuers, versions and
their weights. An app without an address in it is not served, nor one whose state or audience the policy does not name.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from governance.errors import CallerError
from governance.policy.bundle_yaml import load_data
from runtime_adapters.gateway.checks import is_socket
from runtime_adapters.gateway.redaction import KINDS
from runtime_adapters.gateway.state import (
    ApiKey,
    AppRoute,
    Backend,
    Cohort,
    Collector,
    DecisionService,
    Endpoint,
    GatewayState,
    Grant,
    JwtProvider,
    Limits,
    Listener,
    RateLimit,
    Tls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from governance.model.request import Json
    from governance.platform.keys import Key

_Made = TypeVar("_Made")
_HINT = "deploy/README.md, Gateway, shows the file"


class Sources(NamedTuple):
    """What a state is made of."""

    apps: dict[str, Json]
    """`{spec, decision_id, state}` of the last allowed deploy, by name."""
    keys: Iterable[Key]
    policy: Json
    """`data.platform` of the bundle in force."""
    file: Json
    """The operator's file."""


def read_file(path: str) -> Json:
    """The operator's file. Raises CallerError where it is none."""
    import yaml

    try:
        with open(path, "rb") as file:
            found = load_data(file.read())
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=path, hint=_HINT) from error
    except yaml.YAMLError as error:
        raise CallerError("is not YAML", where=path, hint=_HINT) from error
    if not isinstance(found, dict):
        raise CallerError("is not a mapping", where=path, hint=_HINT)
    return found


def state_of(sources: Sources) -> GatewayState:
    """The state. Raises CallerError for a file that says something else than it may, naming the place."""
    _only(sources.file, {"listeners", "apps", "issuers", "service", "sharedHosts", "accessLog", "traces"}, "")
    try:
        return _translated(sources)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CallerError(
            f"has not the shape that is read: {type(error).__name__}",
            where="data.platform.gateway, an app's spec, or the gateway's file",
            hint=_HINT,
        ) from error


def _translated(sources: Sources) -> GatewayState:
    placed = _object(sources.file.get("apps", {}), "apps")
    routes = [
        route
        for name, about in sorted(placed.items())
        if name in sources.apps
        for route in [_route(name, sources.apps[name], _object(about, f"apps.{name}"), sources.policy)]
        if route is not None
    ]
    return GatewayState(
        listeners=tuple(_each(sources.file, "listeners", _listener)),
        apps=tuple(routes),
        keys=api_keys(sources.keys),
        providers=tuple(_each(sources.file, "issuers", _issuer)),
        service=_service(sources.file["service"]) if sources.file.get("service") else None,
        shared_hosts=tuple(map(str, sources.file.get("sharedHosts", []))),
        access_log=str(sources.file.get("accessLog", "/dev/stdout")),
        collector=_collector(sources.file["traces"]) if sources.file.get("traces") else None,
    )


def _route(name: str, known: Json, about: Json, policy: Json) -> AppRoute | None:
    """None where the policy names no one who may call it."""
    where, spec = f"apps.{name}", known["spec"]
    _only(about, {"hosts", "prefix", "backends", "cohorts", "mirror", "asks"}, where)
    if about.get("asks", True) is not True:
        raise CallerError("every app asks the decision service", where=f"{where}.asks", hint="leave it out")
    wanted, states = policy.get("gateway", {}), policy.get("lifecycle", {}).get("may_act", [])
    audience = wanted.get("audience", {}).get(spec.get("audience"))
    if audience is None or known.get("state") not in states:
        return None
    tenant = str(spec["tenant"])
    tenants = {"own": (tenant,), "any": ("*",)}[audience["tenants"]]
    caps = spec.get("runtime", {}).get("caps", {})
    return AppRoute(
        app=name,
        tenant=tenant,
        decision_id=str(known["decision_id"]),
        hosts=tuple(map(str, about.get("hosts", []))),
        backends=tuple(_each(about, "backends", _backend, where)),
        regions=tuple(spec.get("data", {}).get("residency", [])),
        prefix=str(about.get("prefix", "/")),
        grants=(Grant(tuple(audience["roles"]), tenants),),
        is_public=audience["anonymous"] is True,
        rate=RateLimit(int(wanted["calls_per_minute"]), 60),
        limits=Limits(request_bytes=int(wanted["request_bytes"]), timeout_ms=_patience_ms(caps, wanted)),
        cohorts=tuple(_each(about, "cohorts", _cohort, where)),
        mirror=str(about.get("mirror", "")),
        redact=_redact(audience["redact"], spec, wanted["kinds"]),
        redacts_requests=audience.get("redact_requests") != "none",
        holds_answers=any("answers" in call for call in spec.get("api") or ()),
    )


def _patience_ms(caps: Json, wanted: Json) -> int:
    """Longer than the app may run, so that whoever calls it hears what stopped it."""
    return int(caps.get("timeoutMs") or 15_000) + int(wanted["grace_ms"])


def _redact(what: str, spec: Json, classes: Json) -> tuple[str, ...]:
    declared = set(spec.get("data", {}).get("classes", []))
    cut = {"none": (), "all": KINDS, "undeclared": tuple(kind for kind in KINDS if classes.get(kind) not in declared)}
    return tuple(cut[what])


def api_keys(keys: Iterable[Key]) -> tuple[ApiKey, ...]:
    """The keys that were not revoked, by their hashes."""
    return tuple(_key(key) for key in keys if not key.revoked)


def _key(key: Key) -> ApiKey:
    ends = int(datetime.fromisoformat(key.expires).timestamp()) if key.expires else 0
    return ApiKey(key.id, key.digest, key.role, key.tenant, (), ends)


def _listener(about: Json, where: str) -> Listener:
    _only(about, {"name", "address", "port", "region", "tls", "trustedHops"}, where)
    tls = about.get("tls")
    name, address = _text(about, "name", where), str(about.get("address", "127.0.0.1"))
    found = None if tls is None else _tls(_object(tls, f"{where}.tls"), f"{where}.tls")
    hops = about.get("trustedHops", 0)
    if isinstance(hops, bool) or not isinstance(hops, int):
        raise CallerError("is not a whole number", where=f"{where}.trustedHops", hint=_HINT)
    return Listener(name, address, _port(about.get("port"), where), _text(about, "region", where), found, hops)


def _tls(about: Json, where: str) -> Tls:
    _only(about, {"certificate", "key", "clientCa"}, where)
    certificate, key = _text(about, "certificate", where), _text(about, "key", where)
    client_ca = str(about.get("clientCa", ""))
    files = [certificate, key, *filter(None, [client_ca])]
    mark = hashlib.sha256(b"\0".join(_content(path, where) for path in files)).hexdigest()
    return Tls(certificate, key, client_ca, mark)


def _issuer(about: Json, where: str) -> JwtProvider:
    _only(about, {"name", "issuer", "audiences", "jwksFile", "roleClaim", "tenantClaim", "tenant"}, where)
    return JwtProvider(
        _text(about, "name", where),
        _text(about, "issuer", where),
        tuple(map(str, about.get("audiences", []))),
        _content(_text(about, "jwksFile", where), where).decode("utf-8", "replace"),
        str(about.get("roleClaim", "role")),
        str(about.get("tenantClaim", "tenant")),
        str(about.get("tenant", "")),
    )


def _backend(about: Json, where: str) -> Backend:
    _only(about, {"name", "addresses", "weight", "caFile", "serverName"}, where)
    weight = about.get("weight", 100)
    if isinstance(weight, bool) or not isinstance(weight, int):
        raise CallerError("is not a whole number", where=f"{where}.weight", hint=_HINT)
    addresses = about.get("addresses", [])
    endpoints = tuple(_endpoint(str(address), where) for address in addresses)
    return Backend(
        _text(about, "name", where), endpoints, weight, str(about.get("caFile", "")), str(about.get("serverName", ""))
    )


def _cohort(about: Json, where: str) -> Cohort:
    _only(about, {"header", "value", "backend"}, where)
    return Cohort(_text(about, "header", where).lower(), _text(about, "value", where), _text(about, "backend", where))


def _service(about: Json) -> DecisionService:
    about = _object(about, "service")
    _only(about, {"address", "keyFile", "caFile", "serverName", "timeoutMs"}, "service")
    key = _content(_text(about, "keyFile", "service"), "service").decode("utf-8", "replace").strip()
    endpoint = _endpoint(_text(about, "address", "service"), "service")
    names = (str(about.get("caFile", "")), str(about.get("serverName", "")))
    return DecisionService(endpoint, key, *names, int(about.get("timeoutMs", 2000)))


def _collector(about: Json) -> Collector:
    about = _object(about, "traces")
    _only(about, {"address", "percent"}, "traces")
    return Collector(_endpoint(_text(about, "address", "traces"), "traces"), int(about.get("percent", 100)))


def _endpoint(text: str, where: str) -> Endpoint:
    if is_socket(text):
        return Endpoint(text, 0)
    host, _, port = text.rpartition(":")
    return Endpoint(host.strip("[]"), _port(int(port) if port.isdecimal() else None, where))


def _port(value: Json, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CallerError("a port is a whole number: host:port", where=where, hint=_HINT)
    return value


def _text(about: Json, name: str, where: str) -> str:
    value = about.get(name)
    if not isinstance(value, str) or not value:
        raise CallerError("is missing, or no text", where=f"{where}.{name}", hint=_HINT)
    return value


def _each(about: Json, name: str, make: Callable[[Json, str], _Made], above: str = "") -> list[_Made]:
    where = f"{above}.{name}" if above else name
    rows = about.get(name, [])
    if not isinstance(rows, list):
        raise CallerError("is not a list", where=where, hint=_HINT)
    return [make(_object(row, f"{where}[{at}]"), f"{where}[{at}]") for at, row in enumerate(rows)]


def _object(value: Json, where: str) -> Json:
    if not isinstance(value, dict):
        raise CallerError("is not a mapping", where=where, hint=_HINT)
    return value


def _only(about: Json, known: set[str], where: str) -> None:
    unknown = sorted(set(map(str, about)) - known)
    if unknown:
        raise CallerError(f"{unknown[0][:60]!r} is not one of {', '.join(sorted(known))}", where=where, hint=_HINT)


def _content(path: str, where: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CallerError(f"{path} cannot be read: {error.strerror}", where=where, hint=_HINT) from error
