"""Grants in one process: real stores, sender and clock of its own, against a real authorization server at a TLS double."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from governance.broker_wiring import app_tokens_of, broker_of, secrets_of
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.platform.broker.doubles import write_pins
from governance.platform.broker.tokens import Caller
from governance.platform.keys import Identity
from governance.platform.oauth.asking import asked_of
from governance.platform.oauth.sessions import Session
from governance.settings import Settings
from governance.wiring import directory_of, for_cli, registry_of
from tests.consenting import CALL, agreed, manifest, registry, template
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, Vendor
from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there

DATES = Caller("dates", "marketing", "dates-1")
BACK = "https://apps.example.com/v1/oauth/calendar/callback"


class World:
    """`consent()` gives one that is in force; `call()` asks the broker in the app's name."""

    def __init__(self, folder, settings=None, clients=(), **entry) -> None:
        self.folder = folder
        self.vendor = Vendor(folder / "tls", clients=clients)
        pins = write_pins(folder / "pins.json", self.vendor.double)
        self.settings = Settings(
            {
                "home": str(folder / "home"),
                "registry": str(registry(folder / "registry", **entry)),
                "connector_pins": str(pins),
                **(settings or {}),
            }
        )
        agreed(self.settings)
        self.runner = asyncio.Runner()
        self._opened = for_cli(self.settings)
        self.line = self._opened.__enter__()
        for kind, document in (("template", template()), ("deploy", manifest())):
            self.decide(kind, document)
        self.secrets = secrets_of(self.settings)
        self.secrets.put("marketing/calendar", f"{CLIENT_ID}:{CLIENT_SECRET}")
        self.broker = broker_of(self.settings, self.line)
        self.grants = self.broker._parts.credentials._issuers.grants
        self.late = 0.0
        # Everybody's clock; `late` seconds have passed since the test began.
        for clocked in (self.grants._vendor, self.vendor.server):
            clocked.clock = lambda: time.time() + self.late
        self.broker._parts.credentials._clock = self.vendor.server.clock
        self.connector = registry_of(self.settings).connectors["calendar"]
        self.vendor.server.trusted = app_tokens_of(self.settings).jwks

    def decide(self, kind, document) -> None:
        decision = self.line.decide(normalise_document({"kind": kind, "resource": document}, Source("test", "lead")))
        assert decision.is_allowed, decision

    def asked(self, *scopes):
        return asked_of("dates", directory_of(self.settings).app("dates"), self.connector, scopes)

    def new_consent(self, *scopes):
        asked = self.asked(*scopes)
        request = asked.request(Source("test", "key:ada"), 30)
        decision = self.line.decide(request)
        assert decision.is_allowed, decision
        return asked.consent("key:ada", request, decision)

    def consent(self, *scopes):
        session = Session("s" * 43, Identity("key:ada", "citizen", "marketing"))
        address = self.runner.run(self.grants.ask(self.new_consent(*scopes), self.connector, session, BACK))
        said = self.said(self.vendor.visit(address))
        consent = self.grants.answered(said, self.connector, session, "/callback")
        given = self.runner.run(self.grants.given(consent, said, self.connector, session, BACK))
        self.grants.in_force(given)
        return given

    @staticmethod
    def said(address):
        from urllib.parse import parse_qs, urlsplit

        return parse_qs(urlsplit(address).query)

    def held(self, consent):
        return self.runner.run(self.grants.held(consent.id, self.connector))

    def call(self, given=None, **changes):
        asked = {**CALL, **({"consent": given.id} if given else {}), **changes}
        return self.runner.run(self.broker.call(DATES, "calendar", asked, entry_point="test", trace_id="ab" * 16))

    def stream(self, given=None):
        asked = {**CALL, **({"consent": given.id} if given else {})}

        async def parts() -> list:
            return [
                part
                async for part in self.broker.stream(DATES, "calendar", asked, entry_point="test", trace_id="ab" * 16)
            ]

        return self.runner.run(parts())

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
        self.vendor.stop()


def rules(called) -> set[str]:
    return {violation.rule for violation in called.refusal.violations} if called.refusal else set()


@pytest.fixture
def make(tmp_path):
    made = []

    def one(**entry):
        made.append(World(tmp_path / str(len(made)), **entry))
        return made[-1]

    yield one
    for world in made:
        world.close()


@pytest.fixture
def world(make):
    return make()


def stored(world, consent) -> dict:
    return json.loads(world.secrets.get(consent.handle).reveal())
