"""Events on a real JetStream: decided before they stand there, one subject a subscriber, nothing lost when the server dies."""

from __future__ import annotations

import asyncio
import json

import pytest

from governance.errors import CallerError, DependencyError
from governance.platform.broker.events.stream import Stream
from tests.nats_server import PASSWORD, USER, NatsServer, needs_nats
from tests.unit.events.conftest import World, engines_stay_in_their_thread, publisher, subscriber

# In-process engines as in the unit tests: collected in the thread that made them.
__all__ = ["engines_stay_in_their_thread"]
pytestmark = needs_nats
PLACE = ("marketing", "canteen", "on-lunch")


@pytest.fixture
def server(tmp_path):
    running = NatsServer(tmp_path).start()
    yield running
    running.kill()


def stream(server: NatsServer) -> Stream:
    return Stream(server.url, str(server.credentials), 3600.0)


async def read(server: NatsServer, subject: str) -> list:
    """Every message of a subject, as a subscriber's own client reads them."""
    import nats

    client = await nats.connect(server.url, user=USER, password=PASSWORD)
    try:
        reader = await client.jetstream().pull_subscribe(subject, durable="reader")
        found = []
        while (await reader.consumer_info()).num_pending:
            for message in await reader.fetch(50, timeout=60):
                found.append(message)
                await message.ack()
        return found
    finally:
        await client.close()


def test_what_was_put_stands_there_once_and_survives_the_server(server):
    async def walk() -> list:
        writing = stream(server)
        await writing.put(PLACE, "1", b"{}")
        await writing.put(PLACE, "1", b"{}")
        await writing.put(("hr", "other", "s"), "2", b"{}")
        server.kill()
        with pytest.raises(DependencyError):
            await writing.put(PLACE, "3", b"{}")
        server.start()
        await writing.put(PLACE, "3", b'{"n": 3}')
        await writing.close()
        return await read(server, "events.marketing.canteen.on-lunch")

    found = asyncio.run(walk())
    assert [message.data for message in found] == [b"{}", b'{"n": 3}']
    assert {message.headers["content-type"] for message in found} == {"application/cloudevents+json"}


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:4222", "nats://user:word@127.0.0.1:4222", ""])
def test_a_url_that_is_none_or_holds_a_password_is_refused(url):
    with pytest.raises(CallerError, match="begins with nats"):
        Stream(url, "", 1.0)


@pytest.mark.parametrize("credentials", ["", "exchange:wrong", "a-token"])
def test_whoever_has_no_credential_puts_nothing_there(server, tmp_path, credentials):
    path = tmp_path / "wrong"
    path.write_text(credentials)
    with pytest.raises(DependencyError):
        asyncio.run(Stream(server.url, str(path) if credentials else "", 1.0).put(PLACE, "1", b"{}"))


def test_events_are_decided_on_and_masked_before_they_stand_on_the_stream_and_wait_while_it_is_away(server, tmp_path):
    world = World(
        tmp_path / "world", events=server.url, events_credentials_file=str(server.credentials), event_attempts="9"
    )
    try:
        world.deployed(publisher())
        world.deployed(subscriber(deliver={"via": "stream"}))
        for n in range(6):
            extensions = {"partitionkey": f"k{n % 2}"}
            world.publish(str(n), {"group": "x", "n": n, "contact": "ada@example.com"}, extensions=extensions)
        assert world.work()
        assert world.outbox.counts()["waiting"] == 4
        server.kill()
        assert world.work()
        assert world.outbox.counts()["waiting"] == 4
        server.start()
        world.now += 10
        while world.work():
            pass
        assert world.outbox.counts() == {"waiting": 0, "dead": 0}
        events = [json.loads(one.data) for one in asyncio.run(read(server, "events.marketing.canteen.*"))]
        for key in ("k0", "k1"):
            numbers = [one["data"]["n"] for one in events if one["partitionkey"] == key]
            assert numbers == [n for n in range(6) if f"k{n % 2}" == key]
        assert {one["data"]["contact"] for one in events} == {"***@*******.***"}
    finally:
        world.close()


def test_a_stream_that_nobody_configured_keeps_the_event_waiting(tmp_path):
    world = World(tmp_path)
    try:
        world.deployed(publisher())
        world.deployed(subscriber(deliver={"via": "stream"}))
        world.publish()
        assert world.work()
        assert world.outbox.counts() == {"waiting": 1, "dead": 0}
    finally:
        world.close()
