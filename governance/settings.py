"""Every setting of the service: one table, read from `GOVERNANCE_*` environment variables.

`governance settings` prints this table; nothing else in the code reads the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    default: str
    meaning: str

    @property
    def variable(self) -> str:
        """Environment variable that sets it."""
        return f"GOVERNANCE_{self.name.upper()}"


TABLE: tuple[Setting, ...] = (
    Setting("home", ".governance", "folder for the audit log, keys and state of the embedded defaults"),
    Setting(
        "bundle",
        "",
        "bundle to serve instead of the rule pack that comes with the package: folder, .tar.gz, https://…, "
        "git+https://…@ref#folder",
    ),
    Setting("extra_bundles", "", "more bundles beside it, comma-separated, `v0:` before one in Rego v0"),
    Setting(
        "waivers", "", "folder of Waiver files beside those made by `governance waiver` and the API; empty means none"
    ),
    Setting(
        "bundle_key",
        "",
        "file with the public key (PEM), or the shared secret (HS256), that every bundle must be signed with; "
        "empty: unsigned is accepted",
    ),
    Setting("bundle_poll_s", "60", "seconds between two questions to a bundle's source"),
    Setting(
        "bundle_long_poll_s", "", "seconds a bundle server may hold a question open until there is news; empty: not"
    ),
    Setting("bundle_timeout_s", "10", "seconds that fetching a bundle may take"),
    Setting("bundle_build_timeout_s", "300", "seconds that compiling and proving a bundle may take"),
    Setting("bundle_max_bytes", "67108864", "largest archive that is fetched"),
    Setting("bundle_token_file", "", "file with the bearer token for bundle servers; never sent on to another address"),
    Setting(
        "bundle_max_age_s", "", "seconds without a successful fetch after which everything is denied; empty: no limit"
    ),
    Setting("candidate_bundle", "", "bundle that recorded decisions are compared with while they come; never answers"),
    Setting("candidate_percent", "10", "share of the recorded decisions that the candidate is asked about, 1 to 100"),
    Setting("decision_log_url", "", "where decisions are uploaded in OPA's event format; empty: nowhere"),
    Setting("decision_log_token_file", "", "file with the bearer token for the upload"),
    Setting("decision_log_batch", "500", "most decisions in one upload"),
    Setting(
        "budget_ms",
        "1000",
        "CPU time a policy evaluation may take before it is killed, for a deny; ten times that by the clock",
    ),
    Setting("max_body_bytes", "1048576", "largest request body and manifest; more is refused with 413"),
    Setting(
        "max_review_bytes",
        "4194304",
        "largest AdmissionReview: Kubernetes stores objects of up to 1.5 MiB, and an update brings two",
    ),
    Setting("max_depth", "64", "deepest nesting of a request or manifest"),
    Setting("body_timeout_ms", "10000", "how long a request body may take to arrive"),
    Setting("max_batch", "1000", "most requests in one batch"),
    Setting(
        "admission",
        "key",
        "who may ask /admission: key, a service key (in the API server's webhook kubeconfig); open, whoever reaches the port",
    ),
    Setting("queries", "off", "whether POST and GET /v1/query evaluate queries that somebody makes up: off or on"),
    Setting(
        "ext_authz",
        "connector_call",
        "what /ext-authz asks: app_call, connector_call, or the path of a rule for OPA's Envoy plugin (envoy/authz/allow)",
    ),
    Setting("ext_authz_scheme", "https", "scheme of the addresses that the gateway calls: https or http"),
    Setting(
        "ext_authz_obligations",
        "header,egress_allow",
        "obligations that the gateway carries out, comma-separated; a yes that needs another one is a no",
    ),
    Setting("attack_rules", "/", "folder below which Debian's modsecurity-crs is unpacked, for requests to apps"),
    Setting("record_timeout_ms", "5000", "how long a decision waits for its record to be durable before it is refused"),
    Setting(
        "database",
        "",
        "postgresql:// URL of the audit log, keys, apps, waivers and counts that several replicas share, without a password; "
        "empty: SQLite and files in the home",
    ),
    Setting(
        "database_password_file",
        "",
        "file with that database's password and nothing else, read at each connection; empty: libpq's passfile, or none",
    ),
    Setting("log_origin", "governance.local/audit", "origin line of the audit log's checkpoints"),
    Setting(
        "tiles",
        "key",
        "who may read /checkpoint and /tile (all tenants' public members): key, a reader's; open, anybody",
    ),
    Setting("witnesses", "", "witnesses that cosign checkpoints: `URL VERIFIER_KEY`, several with commas between"),
    Setting(
        "witnesses_needed", "0", "how many of them have to cosign before a checkpoint is served, and agree at start"
    ),
    Setting("witness_home", ".governance-witness", "folder of `governance witness serve`: its key, and what it saw"),
    Setting("witness_name", "governance.local/witness", "name in the witness's cosignatures"),
    Setting(
        "witness_logs", "", "verifier keys of the logs it cosigns, with commas between; two while a log changes its key"
    ),
    Setting("witness_timeout_ms", "5000", "how long one witness may take to answer"),
    Setting(
        "self_audit_s", "10", "seconds between two parts of the self-audit; each hashes some thousand records again"
    ),
    Setting("retention", "", "file with retention classes for `governance audit prune`; empty: everything is kept"),
    Setting(
        "review_model",
        "",
        "model that reviews designs, as its server names it; empty: the deterministic checklist reviews alone",
    ),
    Setting("review_fallbacks", "", "models asked in turn where the one before cannot be reached, with commas between"),
    Setting(
        "review_client",
        "openai",
        "how models are asked: openai, any server with OpenAI's chat completions; litellm, any provider (needs the extra llm)",
    ),
    Setting("review_api_base", "", "base URL of the model's server, such as http://127.0.0.1:11434/v1"),
    Setting("review_api_key_file", "", "file with the key for it; empty: none is sent"),
    Setting("review_timeout_ms", "60000", "how long one design review may take, all models together"),
    Setting("review_max_bytes", "65536", "largest question to a model; a larger design is reviewed by a person"),
    Setting("review_answer_tokens", "2048", "most tokens of a model's answer"),
    Setting("review_budget_tokens", "2000000", "most tokens a tenant's reviews may use in a calendar month (UTC)"),
    Setting(
        "review_budget_cents", "1000", "most cents a tenant's reviews may cost in a calendar month, by review_price"
    ),
    Setting("review_price", "0:0", "cents per million tokens, question:answer"),
    Setting("gateway", "", "file that says where the gateway's ports, apps and issuers are: `governance gateway`"),
    Setting("registry", "", "folder with connectors/ and tenants/; empty: the registry that comes with the package"),
    Setting(
        "connector_pins",
        "",
        'JSON file that says where hosts are, for systems on your own premises: {"host": {"address", "port", "ca_file"}}',
    ),
    Setting("connector_deadline_ms", "15000", "how long a call to a connector may take as a whole"),
    Setting("connector_max_bytes", "1048576", "largest answer of a connector, as it came and unfolded"),
    Setting("connector_stream_bytes", "67108864", "largest answer that is passed on record by record"),
    Setting(
        "secrets_key", "", "file with the key that opens the stored credentials; empty: secrets.key in the home folder"
    ),
    Setting(
        "vault_url", "", "HashiCorp Vault or OpenBao that holds the credentials; empty: the store in the home folder"
    ),
    Setting("vault_ca_file", "", "file with the certificate authority of that vault; empty: the system's"),
    Setting("vault_namespace", "", "namespace in it"),
    Setting("vault_mount", "secret", "where its KV engine (version 2) is mounted"),
    Setting("vault_prefix", "governance", "folder below that mount"),
    Setting("vault_auth", "approle", "how the service signs in to it: approle, kubernetes, jwt or token"),
    Setting("vault_auth_mount", "", "where that method is mounted; empty: under its own name"),
    Setting("vault_role", "", "role to sign in as; for approle the role id"),
    Setting(
        "vault_credential_file",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "file with the secret id, the JWT or the token, read at each sign-in",
    ),
    Setting(
        "vault_dynamic",
        "",
        'JSON file that says which credentials the vault makes for a while: {"tenant/connector": "database/creds/role"}',
    ),
    Setting(
        "public_url",
        "",
        "where people's browsers reach this service, such as https://apps.example.com: vendors send them back to it; "
        "empty: this machine alone",
    ),
    Setting(
        "events",
        "",
        "nats://… or tls://… of a NATS JetStream for apps that read their events there; empty: none",
    ),
    Setting("events_credentials_file", "", "file with user:password, or a token, for it; empty: none is sent"),
    Setting("event_attempts", "24", "attempts at a delivery of an event, about half a day, before it is a dead letter"),
    Setting(
        "event_pause_ms", "1000", "pause before the second attempt; it doubles from one to the next, up to an hour"
    ),
    Setting("event_lease_s", "60", "how long an app or a worker may take over a delivery before another gets it"),
    Setting(
        "event_keep_days",
        "30",
        "days that ids of events are remembered, and dead letters and events that nobody fetches kept",
    ),
    Setting(
        "webhook_window_s",
        "300",
        "how far the time of a webhook's signature may be from ours: replays, clocks that differ",
    ),
    Setting("otlp_endpoint", "", "OTLP/HTTP endpoint for traces; empty: spans are not exported"),
)

_BY_NAME = {row.name: row for row in TABLE}


class Settings(NamedTuple):
    """The settings in force: what the environment gave, else the defaults of the table."""

    values: Mapping[str, str]

    def text(self, name: str) -> str:
        """The setting as text. Raises KeyError for a name that is not in the table."""
        return self.values.get(name, _BY_NAME[name].default)

    def number(self, name: str) -> int:
        """The setting as a whole number above zero; raises CallerError naming the variable otherwise."""
        raw = self.text(name)
        if not raw.isascii() or not raw.isdigit() or int(raw) == 0:
            row = _BY_NAME[name]
            raise CallerError(f"{raw!r} is not a whole number above zero", where=row.variable, hint=row.meaning)
        return int(raw)

    def optional_number(self, name: str) -> int:
        """As `number`, and 0 where it is empty."""
        return self.number(name) if self.text(name) else 0

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """The setting as one of `words`; raises CallerError naming the variable otherwise."""
        raw = self.text(name)
        if raw not in words:
            raise CallerError(f"{raw[:40]!r} is not one of {', '.join(words)}", where=_BY_NAME[name].variable)
        return raw

    @property
    def home(self) -> Path:
        """Folder that holds all state."""
        from pathlib import Path  # 9 ms that `check` does without

        return Path(self.text("home"))


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings; a `GOVERNANCE_*` variable that is not in the table is refused, since it is a typo."""
    known = {row.variable: row.name for row in TABLE}
    unknown = sorted(name for name in environ if name.startswith("GOVERNANCE_") and name not in known)
    if unknown:
        raise CallerError(
            f"{unknown[0]} is not a setting", where="environment", hint="`governance settings` lists them"
        )
    return Settings({known[name]: value for name, value in environ.items() if name in known})
