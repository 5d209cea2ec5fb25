"""The parts of what carries decisions out: the broker, its secrets and tokens, the runtimes, reviews by a model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from governance.errors import CallerError
from governance.wiring import directory_of, for_cli, registry_of, review_store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from governance.pipeline import Pipeline
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.secrets import EmbeddedSecrets
    from governance.platform.broker.tokens import AppTokens
    from governance.platform.reviews import Reviews
    from governance.settings import Settings
    from runtime_adapters.port import Adapter


def secrets_of(settings: Settings) -> EmbeddedSecrets:
    """The credentials of this home."""
    from pathlib import Path

    from governance.platform.broker.secrets import EmbeddedSecrets

    key = settings.text("secrets_key")
    return EmbeddedSecrets(settings.home, Path(key) if key else None)


def app_tokens_of(settings: Settings) -> AppTokens:
    """The keys of app tokens of this home."""
    from governance.platform.broker.tokens import AppTokens

    return AppTokens(settings.home)


def broker_of(settings: Settings, line: Pipeline) -> Broker:
    """The way out for apps whose calls `line` decides on; made and used in one event loop."""
    from governance.platform.broker.addresses import Addresses, read_pins
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.calls import Parts as BrokerParts
    from governance.platform.broker.credentials import Credentials
    from governance.platform.broker.limits import Meter
    from governance.platform.broker.sending import Bounds, Sender

    registry = registry_of(settings)
    bounds = Bounds(
        settings.number("connector_deadline_ms") / 1000,
        settings.number("max_body_bytes"),
        settings.number("connector_max_bytes"),
        settings.number("connector_stream_bytes"),
    )
    sender = Sender(Addresses(read_pins(settings.text("connector_pins"))), bounds)
    return Broker(
        BrokerParts(
            line=line,
            connectors=registry.connectors,
            tenants=registry.tenants,
            spec_of=directory_of(settings).spec_of,
            meter=Meter(settings.home),
            credentials=Credentials(secrets_of(settings), sender),
            sender=sender,
        )
    )


def runtimes_of(settings: Settings) -> dict[str, Adapter]:
    """Every runtime, by the class that a decision names."""
    from runtime_adapters.container import ContainerAdapter
    from runtime_adapters.microvm import MicrovmAdapter
    from runtime_adapters.wasm.adapter import WasmAdapter

    folder = runtime_folder(settings)
    return {
        "wasm": WasmAdapter(folder / "wasm"),
        "container": ContainerAdapter(folder / "container"),
        "microvm": MicrovmAdapter(folder / "microvm"),
    }


def runtime_folder(settings: Settings) -> Path:
    """Where runtimes keep compiled code, images and the state of what runs."""
    return settings.home.resolve() / "runtimes"


@contextmanager
def open_reviews(settings: Settings, say: Callable[[str], None]) -> Iterator[Reviews]:
    """Reviews by the configured models, recorded in this home's log. Raises CallerError where none is configured."""
    from governance.enrich.llm import Worker
    from governance.platform.reviews import Reviews

    store = review_store_of(settings)
    if store is None:
        raise CallerError("no model is configured", where="GOVERNANCE_REVIEW_MODEL", hint="`governance settings`")
    with for_cli(settings) as line, Worker() as worker:
        yield Reviews(settings, line, store, worker, directory_of(settings).spec_of, say)
