"""A whole exchange in one process: the real line, log, outbox and sender; where2eat publishes, canteen subscribes."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from governance.broker_wiring import secrets_of
from governance.enrich.apps import AppDirectory
from governance.events_wiring import exchange_of
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.platform.broker.doubles import Double, Reply, write_pins
from governance.platform.broker.events.delivering import Deliverer
from governance.platform.broker.events.hooks import Hooks
from governance.platform.broker.events.message import Event
from governance.platform.broker.events.publishing import Publisher
from governance.settings import Settings
from governance.wiring import directory_of, for_cli

ROOT = Path(__file__).parents[3]
HOST = "api.recommender.example.com"
TYPE = "com.example.lunch.chosen"
KEY = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
SCHEMA = {
    "type": "object",
    "required": ["group"],
    "properties": {"group": {"type": "string"}, "n": {"type": "integer"}, "contact": {"type": "string"}},
}


def manifest(name: str, events: dict, **changes) -> dict:
    made = yaml.safe_load((ROOT / "deploy" / "examples" / "where2eat" / "app-fixed.yaml").read_text())
    made["metadata"]["name"] = name
    made["spec"] = {**made["spec"], "events": events, **changes}
    return made


def publisher(**changes) -> dict:
    events = {
        "publishes": [{"type": TYPE, "classes": ["internal"], "schema": SCHEMA, "sharedWith": []}],
        "webhooks": [
            {"name": scheme, "type": TYPE, "scheme": scheme, "signedWith": f"{scheme}-hook"}
            for scheme in ("github", "slack", "stripe", "standard", "jwt")
        ],
    }
    hooks = [{"name": f"{row['signedWith']}", "ttl": "PT15M", "rotation": "P30D"} for row in events["webhooks"]]
    return manifest("where2eat", {**events, **changes}, secrets=hooks)


def subscriber(**changes) -> dict:
    row = {
        "name": "on-lunch",
        "app": "where2eat",
        "type": TYPE,
        "purpose": "Tables for the groups that come.",
        **changes,
    }
    secrets = [{"name": "recommender-key", "ttl": "PT15M", "rotation": "P30D"}]
    return manifest("canteen", {"subscribes": [row]}, secrets=secrets)


PUSHED = {"deliver": {"url": f"https://{HOST}/v2/recommendations/lunch", "signedWith": "recommender-key"}}


class World:
    """`receiver` is what the double answers next; `now` is the exchange's clock, and moves only when a test says so."""

    def __init__(self, folder: Path, clients: Sequence[Path] = (), **settings: str) -> None:
        """`clients`: certificates of which the receiver demands one."""
        folder.mkdir(exist_ok=True)
        self.receiver = lambda asked: Reply(b"{}")
        answer = lambda asked: self.receiver(asked)  # noqa: E731, PLW0108  looked up anew each time
        self.double = Double(HOST, folder / "tls", answer, clients, needs_client=bool(clients)).start()
        pins = write_pins(folder / "pins.json", self.double)
        self.settings = Settings(
            {
                "home": str(folder / "home"),
                "connector_pins": str(pins),
                "event_attempts": "3",
                "connector_deadline_ms": "60000",
                **settings,
            }
        )
        self.now = datetime.now(UTC).timestamp()
        self.runner = asyncio.Runner()
        self._opened = for_cli(self.settings)
        self.line = self._opened.__enter__()
        self.secrets = secrets_of(self.settings)
        self.secrets.put("marketing/recommender-key", KEY)
        self.directory: AppDirectory = directory_of(self.settings)
        made = exchange_of(self.settings, self.line, self.directory)
        clock = lambda: self.now  # noqa: E731
        self.publisher = Publisher(self.line, made.outbox, self.directory.subscribers, clock)
        parts = made.deliverer._parts._replace(clock=clock, chance=lambda: 1.0)
        self.exchange = made._replace(
            publisher=self.publisher,
            deliverer=Deliverer(parts),
            hooks=Hooks(made.hooks._parts._replace(clock=clock, publisher=self.publisher)),
        )
        self.outbox = made.outbox

    def deploy(self, document: dict):
        request = normalise_document({"kind": "deploy", "resource": document}, Source("test", "lead"))
        return self.line.decide(request)

    def deployed(self, document: dict) -> None:
        decision = self.deploy(document)
        assert decision.is_allowed, [(v.rule, v.path, v.message) for v in decision.violations]

    def publish(self, event_id: str = "1", data=None, app: str = "where2eat", **attributes):
        said = {"group": "campaigns"} if data is None else data
        extensions = attributes.pop("extensions", {})
        event = Event(event_id, f"/apps/{app}", attributes.pop("type", TYPE), said, extensions=extensions, **attributes)
        source = Source("test", f"app:{app}/1", ("app",), "", "ab" * 16)
        return self.runner.run(self.publisher.publish(app, event, source))

    def work(self) -> bool:
        async def turn() -> bool:
            found = await self.exchange.deliverer.work(16)
            await self.exchange.deliverer.drained()
            return found

        return self.runner.run(turn())

    def fetch(self, most: int = 10, app: str = "canteen"):
        return self.runner.run(self.exchange.deliverer.fetch(app, "on-lunch", most))

    def settle(self, delivery: str, *, is_done: bool = True, app: str = "canteen") -> bool:
        return self.runner.run(self.exchange.deliverer.settle(app, "on-lunch", delivery, is_done=is_done))

    def sent(self) -> list[dict]:
        return [json.loads(asked.body) for asked in self.double.asked]

    def records(self) -> list[dict]:
        reader = open_reader(self.settings)
        try:
            return [reader.record(index) for index in range(reader.size())]
        finally:
            reader.close()

    def close(self) -> None:
        self.runner.run(self.exchange.close())
        self.runner.close()
        self._opened.__exit__(None, None, None)
        self.double.stop()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def engines_stay_in_their_thread():
    """Engines of earlier tests may be waiting for the collector, which runs in whichever thread makes an object."""
    gc.disable()
    yield
    gc.enable()
