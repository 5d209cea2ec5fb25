"""The one place that picks real parts. Everything heavy is imported by the function that needs it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from governance.enrich.apps import AppDirectory, AppFacts
from governance.enrich.registry_facts import RegistryFacts
from governance.enrich.scan import ScanFacts
from governance.enrich.schema import SchemaFacts
from governance.enrich.urls import UrlFacts
from governance.errors import CallerError, DependencyError
from governance.normalise.requests import changed
from governance.pipeline import Parts, Pipeline
from governance.policy.active import Extra, load_active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from audit.log import AuditLog
    from audit.reader import LogReader
    from audit.record import Entry, Receipt
    from connectors_registry.load import Registry
    from governance.enrich.port import Enricher
    from governance.model.request import Json
    from governance.pipeline import Recorder
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.secrets import EmbeddedSecrets
    from governance.platform.broker.tokens import AppTokens
    from governance.policy.active import Active
    from governance.policy.waivers import Waiver
    from governance.settings import Settings
    from runtime_adapters.port import Adapter


def active_of(settings: Settings) -> Active:
    """The bundle that the settings name, compiled or from the cache."""
    return load_active(settings.text("bundle"), extras_of(settings), bundle_key=_bundle_key(settings))


def _bundle_key(settings: Settings) -> bytes:
    path = settings.text("bundle_key")
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            key = file.read()
    except OSError as error:
        raise CallerError(
            f"cannot be read: {error.strerror}", where=path, hint="GOVERNANCE_BUNDLE_KEY names it"
        ) from error
    if not key.strip():
        raise CallerError("is empty", where=path, hint="an empty key file would switch verification off")
    return key


def extras_of(settings: Settings) -> list[Extra]:
    """Extra bundles: `path` or `v0:path`, comma-separated in one setting."""
    found = []
    for part in settings.text("extra_bundles").split(","):
        if part.strip():
            path = part.strip().removeprefix("v0:")
            found.append(Extra(path.strip(), v0=path != part.strip()))
    return found


def waivers_of(settings: Settings, active: Active) -> tuple[Waiver, ...]:
    """The waivers in the settings' folder; none where no folder is named."""
    folder = settings.text("waivers")
    if not folder:
        return ()
    from governance.policy.waivers import load_waivers

    return load_waivers(folder, active.rules)


def directory_of(settings: Settings) -> AppDirectory:
    """Apps and templates that decisions allowed, and the templates that come with the package."""
    return AppDirectory(settings.text("home"), _shipped_templates())


def registry_of(settings: Settings) -> Registry:
    """Connectors and tenants. Raises CallerError for a registry that must not be used."""
    from connectors_registry.load import BadEntry, load_registry

    try:
        return load_registry(settings.text("registry"))
    except (BadEntry, OSError) as error:
        raise CallerError(str(error), hint="connectors_registry/README.md says what an entry holds") from error


def enrichers_of(directory: AppDirectory, registry: Registry) -> list[Enricher]:
    """Every source of facts, in the order they are asked."""
    return [
        SchemaFacts(),
        AppFacts(directory),
        RegistryFacts(registry.connectors, registry.tenants, directory.spec_of),
        UrlFacts(),
        ScanFacts(),
    ]


def for_check(settings: Settings) -> Pipeline:
    """A line that only advises: no log, no state of its own, and so nothing that could be permitted."""
    active = active_of(settings)
    waivers = waivers_of(settings, active)
    return Pipeline(
        Parts(
            active=lambda: active,
            enrichers=enrichers_of(directory_of(settings), registry_of(settings)),
            rebuild=changed,
            waivers=lambda: waivers,
        )
    )


def parts_for(settings: Settings, active: Callable[[], Active]) -> Parts:
    """The parts of a line that permits, all but its recorder."""
    directory = directory_of(settings)
    waivers = waivers_of(settings, active())
    return Parts(
        active=active,
        enrichers=enrichers_of(directory, registry_of(settings)),
        rebuild=changed,
        enforcement=directory,
        waivers=lambda: waivers,
    )


class LogRecorder:
    """The log of this process as the line's recorder."""

    def __init__(self, log: AuditLog, timeout_s: float) -> None:
        self.log = log
        self._timeout_s = timeout_s

    def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable."""
        return self.log.append(entry, self._timeout_s)

    async def aappend(self, entry: Entry) -> Receipt:
        """The same without blocking the event loop."""
        import asyncio

        async with asyncio.timeout(self._timeout_s):
            return await asyncio.wrap_future(self.log.submit(entry))


class SharedRecorder:
    """The running service's writer as the line's recorder, for a command that decides one thing and ends."""

    def __init__(self, home: Path, timeout_s: float) -> None:
        self._home = home
        self._timeout_s = timeout_s

    def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable."""
        import asyncio

        return asyncio.run(self.aappend(entry))

    async def aappend(self, entry: Entry) -> Receipt:
        """The same without blocking the event loop."""
        from audit.client import Client

        client = Client(self._home, f"cli-{os.getpid()}", self._timeout_s)
        try:
            return await client.aappend(entry)
        finally:
            await client.close()


def open_reader(settings: Settings) -> LogReader:
    """The audit log of this home for reading; may run beside a service. Raises CallerError where there is none."""
    from audit.reader import LogReader

    try:
        return LogReader(settings.home, origin=settings.text("log_origin"))
    except FileNotFoundError as error:
        raise CallerError(str(error)) from error


@contextmanager
def open_recorder(settings: Settings) -> Iterator[Recorder]:
    """Write access for one process: the log itself, or the running service's writer where that holds it."""
    from audit.errors import AuditError, LogInUse
    from audit.log import AuditLog

    timeout_s = settings.number("record_timeout_ms") / 1000
    try:
        log = AuditLog(settings.home, origin=settings.text("log_origin"))
    except LogInUse:
        yield SharedRecorder(settings.home, timeout_s)
        return
    except (AuditError, OSError) as error:
        raise DependencyError(f"the audit log cannot be opened: {error}") from error
    try:
        _ask_witnesses(settings, log)
        yield LogRecorder(log, timeout_s)
    finally:
        log.close()


def _ask_witnesses(settings: Settings, log: AuditLog) -> None:
    """Raises DependencyError for a log that its witnesses disown."""
    from audit.errors import AuditError
    from governance.platform.witnesses import log_witnesses

    try:
        witnesses = log_witnesses(settings)
        if witnesses is not None:
            witnesses.check_start(log.reader)
    except AuditError as error:
        raise DependencyError(f"the audit log cannot be opened: {error}") from error


@contextmanager
def open_custody(settings: Settings) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """The verbs of `audit.custody` on this home's log: on the log itself, or through the running service's writer."""
    import asyncio

    from audit.client import Client
    from audit.custody import Custody

    with open_recorder(settings) as recorder:
        if isinstance(recorder, LogRecorder):
            yield Custody(recorder.log).act
            return

        async def act(verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
            client = Client(settings.home, f"cli-{os.getpid()}", settings.number("record_timeout_ms") / 1000)
            try:
                return await client.act(verb, arguments)
            finally:
                await client.close()

        yield lambda verb, arguments: asyncio.run(act(verb, arguments))


@contextmanager
def for_cli(settings: Settings) -> Iterator[Pipeline]:
    """The whole line for one process, one decision after another."""
    active = active_of(settings)
    with open_recorder(settings) as recorder:
        yield Pipeline(parts_for(settings, lambda: active)._replace(recorder=recorder))


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


def _shipped_templates() -> dict[str, Json]:
    """Templates in `deploy/examples/*/template.yaml`, as `name@version`."""
    from governance.policy.locations import data_folder

    base = os.path.join(data_folder("deploy"), "examples")
    return {
        f"{document['metadata']['name']}@{document['metadata']['version']}": document["spec"]
        for document in _documents(base, sorted(os.listdir(base)))
    }


def _documents(base: str, folders: Sequence[str]) -> Iterator[Json]:
    import ryaml

    for folder in folders:
        path = os.path.join(base, folder, "template.yaml")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                yield ryaml.loads(file.read())
