"""A whole broker in one process: the real line, log, meter, store of secrets and sender; a TLS double is the vendor."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path

import pytest

from governance.broker_wiring import broker_of, secrets_of
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.documents import read_documents
from governance.normalise.requests import normalise_manifest
from governance.platform.broker.doubles import Double, Reply, write_pins
from governance.platform.broker.tokens import Caller
from governance.settings import Settings
from governance.wiring import for_cli
from tests.leaks import CANARY

ROOT = Path(__file__).parents[3]
APP = ROOT / "deploy" / "examples" / "where2eat" / "app-fixed.yaml"
HOST = "api.hris.example.com"
LUNCH = Caller("where2eat", "marketing", "where2eat-1")
CALL = {
    "operation": "list employees",
    "method": "GET",
    "url": f"https://{HOST}/scim/v2/Users?team=campaigns",
    "scopes": ["employees:read"],
    "headers": {"accept": "application/json"},
}


class World:
    """`call()` asks; `vendor` is what the double answers next."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.vendor = lambda asked: Reply(b"{}")
        self.double = Double(HOST, folder / "tls", lambda asked: self.vendor(asked)).start()  # noqa: PLW0108  looked up anew each time
        pins = write_pins(folder / "pins.json", self.double)
        self.settings = Settings(
            {"home": str(folder / "home"), "connector_pins": str(pins), "connector_deadline_ms": "60000", **settings}
        )
        self.runner = asyncio.Runner()
        self._opened = for_cli(self.settings)
        self.line = self._opened.__enter__()
        self.secrets = secrets_of(self.settings)
        self.secrets.put("marketing/hris", CANARY)
        self.deploy()
        self.broker = broker_of(self.settings, self.line)

    def deploy(self, change=lambda text: text) -> None:
        document = read_documents(change(APP.read_text()).encode(), str(APP))[0]
        decision = self.line.decide(normalise_manifest(document, Source("test", "lead")))
        assert decision.is_allowed, decision

    def call(self, caller=LUNCH, connector="hris", **changes):
        asked = {name: value for name, value in {**CALL, **changes}.items() if value is not None}
        return self.runner.run(self.broker.call(caller, connector, asked, entry_point="test", trace_id="ab" * 16))

    def answers(self, body, content_type="application/json", status=200, **headers) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.vendor = lambda asked: Reply(raw, content_type, status, headers)

    def records(self) -> list[dict]:
        reader = open_reader(self.settings)
        try:
            return [reader.record(index) for index in range(reader.size())]
        finally:
            reader.close()

    def close(self) -> None:
        self.runner.run(self.broker.close())
        self.runner.close()
        self._opened.__exit__(None, None, None)
        self.double.stop()
        # The double holds this world, which holds the line: without a cycle its engine is freed here and now, in its thread.
        vars(self).clear()


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
