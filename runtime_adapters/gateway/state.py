"""What the gateway is to do, in its own words: plain values, from which every configuration is made.

Nothing here decides: who may call and what is cut out of an answer comes from decisions and policy data, translated by
whoever owns those. What is not said is not open: an app without grants lets nobody in, one without regions is on no listener.
"""

from __future__ import annotations

from typing import NamedTuple


class GatewayRefusal(Exception):
    """A state or a configuration that must not serve; the text names the app and the place."""

    code = "gateway_refused"


class Endpoint(NamedTuple):
    """One address that answers."""

    host: str
    """A name, an address, or `unix:/path` of a socket on the gateway's own host."""
    port: int
    """0 for a socket."""


class Backend(NamedTuple):
    """One version of an app."""

    name: str
    endpoints: tuple[Endpoint, ...]
    weight: int = 100
    """Share of the calls among the app's versions; 0: only by cohort or as a mirror."""
    ca_file: str = ""
    """Certificates to trust when it speaks TLS; empty: plain HTTP."""
    server_name: str = ""
    """Name in its certificate, where it speaks TLS."""


class Grant(NamedTuple):
    """Callers who may in: any of the roles and any of the tenants."""

    roles: tuple[str, ...]
    tenants: tuple[str, ...]
    """`*` is every tenant, but not a caller without one."""
    methods: tuple[str, ...] = ()
    """Empty: every method."""


class RateLimit(NamedTuple):
    """A token bucket of one app on one gateway."""

    requests: int
    per_s: int


class Limits(NamedTuple):
    """What one call, and all of them together, may take. 0: no limit of ours."""

    request_bytes: int = 1_048_576
    response_bytes: int = 0
    """Answers are held back whole to be counted; 0 where nothing is cut out of them either lets them stream."""
    timeout_ms: int = 15_000
    connections: int = 256
    pending: int = 256
    requests: int = 512
    retries: int = 1


class Ejection(NamedTuple):
    """When an endpoint that fails is left out for a while."""

    consecutive_5xx: int = 5
    for_s: int = 30
    at_most_percent: int = 50


class Cors(NamedTuple):
    """Pages of other origins that may call."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ("GET",)
    headers: tuple[str, ...] = ()
    max_age_s: int = 600


class Cohort(NamedTuple):
    """Callers who get one version, whatever the weights say."""

    header: str
    """A header that anybody may send, or `x-subject`, `x-tenant`, `x-role`, which the gateway sets."""
    value: str
    backend: str


class AppRoute(NamedTuple):
    """One app as the gateway serves it."""

    app: str
    tenant: str
    decision_id: str
    """The deploy decision that it serves under; in every access log line."""
    hosts: tuple[str, ...]
    backends: tuple[Backend, ...]
    regions: tuple[str, ...]
    """It is served by listeners of these regions alone."""
    prefix: str = "/"
    """The path below which it lives, by whole segments; never rewritten."""
    grants: tuple[Grant, ...] = ()
    is_public: bool = False
    """Callers without a key or token may in too."""
    rate: RateLimit | None = None
    limits: Limits = Limits()
    ejection: Ejection = Ejection()
    cors: Cors | None = None
    cohorts: tuple[Cohort, ...] = ()
    mirror: str = ""
    """A version that gets a copy of every call; its answers go nowhere."""
    redact: tuple[str, ...] = ()
    """What is cut out of answers: `redaction.KINDS`."""
    redacts_requests: bool = False
    """Whether the decision about a call may oblige to cut values out of it (`redact`); where not, such a yes is a no."""
    holds_answers: bool = False
    """The decision service is asked about every answer of the app as well, and no answer is a no."""
    asks: bool = True
    """The decision service is asked about every call, and no answer is a no. False has to be said."""


class ApiKey(NamedTuple):
    """A key `gk_<id>_<secret>` of which only the hash is known."""

    id: str
    sha256: str
    """Hex, of the secret's text."""
    role: str
    tenant: str
    apps: tuple[str, ...] = ()
    """Empty: not bound to one."""
    expires_at: int = 0
    """Unix seconds; 0: never."""


class JwtProvider(NamedTuple):
    """Whose tokens count, and what they may say."""

    name: str
    issuer: str
    audiences: tuple[str, ...]
    jwks: str
    """The JSON Web Key Set itself. Several keys stand in it while they rotate."""
    role_claim: str = "role"
    tenant_claim: str = "tenant"
    tenant: str = ""
    """Where the issuer speaks for one tenant alone: it counts, whatever the claim says."""


class Tls(NamedTuple):
    """Files of a listener; `mark` changes when their content does, so that a renewed certificate is taken up."""

    certificate: str
    key: str
    client_ca: str = ""
    """Callers must show a certificate of one of these."""
    mark: str = ""


class Listener(NamedTuple):
    """One port of one region."""

    name: str
    address: str
    port: int
    region: str
    tls: Tls | None = None
    trusted_hops: int = 0
    """How many proxies of ours every call passes before this port; the last one's word for who called is believed. 0: none."""


class DecisionService(NamedTuple):
    """Where `asks` asks."""

    endpoint: Endpoint
    key: str
    """A key of role `service`; it stands in Envoy's configuration, which only this account can read."""
    ca_file: str = ""
    server_name: str = ""
    timeout_ms: int = 2000


class Collector(NamedTuple):
    """Where spans go: an OpenTelemetry collector over HTTP."""

    endpoint: Endpoint
    percent: int = 100
    """Of the calls whose caller did not decide about sampling."""


class GatewayState(NamedTuple):
    """Everything that a gateway knows."""

    listeners: tuple[Listener, ...]
    apps: tuple[AppRoute, ...]
    keys: tuple[ApiKey, ...] = ()
    providers: tuple[JwtProvider, ...] = ()
    service: DecisionService | None = None
    shared_hosts: tuple[str, ...] = ()
    """Hosts on which several apps live side by side, each below a prefix of its own."""
    access_log: str = "/dev/stdout"
    collector: Collector | None = None
