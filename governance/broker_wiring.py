"""The parts of what carries decisions out: the broker, its secrets and tokens, the runtimes, reviews by a model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from governance.errors import CallerError
from governance.log_wiring import database_of, state_of
from governance.wiring import directory_of, for_cli, registry_of, review_store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from connectors_registry.load import Registry
    from governance.enrich.pii.policy import ScanPolicy
    from governance.model.request import Json
    from governance.pipeline import Pipeline
    from governance.platform.app_calls import AppCalls
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.limits import Counters
    from governance.platform.broker.secrets import Secrets
    from governance.platform.broker.sending import Sender
    from governance.platform.broker.tokens import AppTokens
    from governance.platform.oauth.consents import Consents
    from governance.platform.oauth.grants import Grants
    from governance.platform.reviews import Reviews
    from governance.policy.active import Active
    from governance.settings import Settings
    from runtime_adapters.port import Adapter


def secrets_of(settings: Settings) -> Secrets:
    """The credentials: of the vault that the settings name, else of this home or of all replicas."""
    from pathlib import Path

    from governance.platform.broker.secrets import EmbeddedSecrets

    if settings.text("vault_url"):
        return _vault_of(settings)
    key = Path(settings.text("secrets_key")) if settings.text("secrets_key") else None
    if database_of(settings) is None:
        return EmbeddedSecrets(settings.home, key)
    from governance.platform.broker.shared_secrets import SharedSecrets

    return SharedSecrets(state_of(settings), key)


def _vault_of(settings: Settings) -> Secrets:
    from pathlib import Path

    from governance.platform.broker.vault import METHODS, Place, VaultSecrets, read_dynamic

    place = Place(
        url=settings.text("vault_url"),
        mount=settings.text("vault_mount").strip("/"),
        prefix=settings.text("vault_prefix").strip("/"),
        method=settings.choice("vault_auth", METHODS),
        role=settings.text("vault_role"),
        credential=Path(settings.text("vault_credential_file")),
        auth_mount=settings.text("vault_auth_mount").strip("/"),
        namespace=settings.text("vault_namespace"),
        ca_file=settings.text("vault_ca_file"),
    )
    return VaultSecrets(place, read_dynamic(settings.text("vault_dynamic")))


def app_tokens_of(settings: Settings) -> AppTokens:
    """The keys of app tokens of this home."""
    from governance.platform.broker.tokens import AppTokens

    return AppTokens(state_of(settings))


def broker_of(settings: Settings, line: Pipeline, registry: Registry | None = None) -> Broker:
    """The way out for apps whose calls `line` decides on; made and used in one event loop.

    `registry`: the documents that the line has its facts from; left out, they are read anew.
    """
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.calls import Parts as BrokerParts
    from governance.platform.broker.credentials import Credentials, Issuers
    from governance.platform.broker.limits import Meter

    registry = registry or registry_of(settings)
    sender, secrets = sender_of(settings), secrets_of(settings)
    issuers = Issuers(grants_of(settings, sender, secrets, line), app_tokens_of(settings))
    return Broker(
        BrokerParts(
            line=line,
            connectors=registry.connectors,
            tenants=registry.tenants,
            spec_of=directory_of(settings).spec_of,
            meter=Meter(_counters_of(settings)),
            credentials=Credentials(secrets, sender, issuers),
            sender=sender,
        )
    )


def _counters_of(settings: Settings) -> Counters:
    """Where calls are counted: in this home, or once for all replicas."""
    from governance.platform.broker.limits import FileCounters

    database = database_of(settings)
    if database is None:
        return FileCounters(settings.home)
    from governance.state.counters import SharedCounters

    return SharedCounters(database)


def usage_counters_of(settings: Settings) -> Counters:
    """Where what running apps used is written down, beside the counts of their calls."""
    return _counters_of(settings)


def sender_of(settings: Settings) -> Sender:
    """The guarded way out, to vendors and their authorization servers; belongs to one event loop."""
    from governance.platform.broker.addresses import Addresses, read_pins
    from governance.platform.broker.sending import Bounds, Sender

    bounds = Bounds(
        settings.number("connector_deadline_ms") / 1000,
        settings.number("max_body_bytes"),
        settings.number("connector_max_bytes"),
        settings.number("connector_stream_bytes"),
    )
    return Sender(Addresses(read_pins(settings.text("connector_pins"))), bounds)


def consents_of(settings: Settings) -> Consents:
    """The consents of people in this home, or of all replicas."""
    if database_of(settings) is None:
        from governance.platform.oauth.consents import SqliteConsents

        return SqliteConsents(settings.home)
    from governance.platform.oauth.shared_consents import SharedConsents

    return SharedConsents(state_of(settings))


def move_people(here: Settings, there: Settings) -> tuple[int, int]:
    """(consents, credentials) of this home that are where replicas share them now; what is there stays.

    Credentials of a vault are shared already, and stay in it.
    """
    from governance.platform.broker.secrets import EmbeddedSecrets
    from governance.platform.broker.shared_secrets import SharedSecrets
    from governance.platform.oauth.consents import SqliteConsents
    from governance.platform.oauth.shared_consents import SharedConsents

    held, kept, moved = secrets_of(here), secrets_of(there), 0
    # The tokens first: a consent without one is of no use, and a token without a consent does nothing.
    if isinstance(held, EmbeddedSecrets) and isinstance(kept, SharedSecrets):
        for about in held.all():
            kept.keep(about, held.get(about.name).reveal())
            moved += 1
    consents, shared = SqliteConsents(here.home).all(), SharedConsents(state_of(there))
    for consent in consents:
        shared.keep(consent)
    return len(consents), moved


def grants_of(settings: Settings, sender: Sender, secrets: Secrets, line: Pipeline | None = None) -> Grants:
    """Consents carried out at vendors, through `sender`; whoever renews tokens gives the `line`."""
    from governance.platform.oauth.grants import Grants
    from governance.platform.oauth.vendor import Vendor

    return Grants(consents_of(settings), secrets, Vendor(sender), line)


def app_calls_of(settings: Settings, line: Pipeline, active: Callable[[], Active]) -> AppCalls:
    """Decisions of `line` about requests to apps; made and used in one event loop."""
    import json

    from governance.enrich.attacks import Inspector
    from governance.platform.app_calls import AppCalls, Parts
    from governance.platform.broker.limits import Meter

    known: tuple[Active, Json] | None = None

    def policy() -> Json:
        nonlocal known
        now = active()
        if known is None or known[0] is not now:
            known = now, json.loads(now.compiled.data).get("platform", {}).get("gateway", {})
        return known[1]

    inspector = Inspector(settings.text("attack_rules"))
    return AppCalls(Parts(line, directory_of(settings).spec_of, Meter(_counters_of(settings)), policy, inspector))


def runtimes_of(settings: Settings, policy: Callable[[], ScanPolicy] | None = None) -> dict[str, Adapter]:
    """Every runtime, by the class that a decision names. `policy`: what is masked in apps' logs, else they are withheld."""
    from governance.platform.broker.guest_logs import log_mask
    from runtime_adapters.container import ContainerAdapter
    from runtime_adapters.guest_log import withheld
    from runtime_adapters.machines import MachinesAdapter
    from runtime_adapters.wasm.adapter import WasmAdapter

    folder, mask = runtime_folder(settings), withheld if policy is None else log_mask(policy)
    return {
        "wasm": WasmAdapter(folder / "wasm", mask),
        "container": ContainerAdapter(folder / "container", mask=mask),
        "microvm": MachinesAdapter(folder / "microvm", mask=mask),
    }


def runtime_folder(settings: Settings) -> Path:
    """Where runtimes keep compiled code, images and the state of what runs."""
    return settings.home.resolve() / "runtimes"


@contextmanager
def open_reviews(settings: Settings, say: Callable[[str], None]) -> Iterator[Reviews]:
    """Reviews by the configured models, recorded in this home's log. Raises CallerError where none is configured."""
    from governance.enrich.llm import Worker
    from governance.platform.review_budget import Budget
    from governance.platform.reviews import Reviews

    store = review_store_of(settings)
    if store is None:
        raise CallerError("no model is configured", where="GOVERNANCE_REVIEW_MODEL", hint="`governance settings`")
    with for_cli(settings) as line, Worker() as worker:
        budget = Budget(settings, state_of(settings))
        yield Reviews(settings, line, store, worker, budget, directory_of(settings).spec_of, say)
