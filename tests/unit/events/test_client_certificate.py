"""Events for a receiver that asks who sends: its client certificate is a secret, of which a manifest has the name alone."""

from __future__ import annotations

import base64
import ssl

import pytest

from governance.platform.certificates import self_signed
from tests.unit.events.conftest import KEY, PUSHED, World, publisher, subscriber

NAME = "recommender-client"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(certificate, key) of two clients, of which the receiver knows the first."""
    folder = tmp_path_factory.mktemp("clients")
    return [self_signed(folder / name, [f"{name}.example.com"]) for name in ("exchange", "stranger")]


def packed(certificate, key) -> str:
    return base64.b64encode(certificate.read_bytes() + key.read_bytes()).decode()


@pytest.fixture
def strict(tmp_path, pairs):
    """A world whose receiver speaks to nobody without the first pair's certificate."""
    made = World(tmp_path, [pairs[0][0]])
    made.deployed(publisher())
    yield made
    made.close()


def wishing(**deliver) -> dict:
    """The subscriber, with both secrets declared."""
    made = subscriber(deliver={**PUSHED["deliver"], **deliver})
    made["spec"]["secrets"].append({"name": NAME, "ttl": "PT15M", "rotation": "P30D"})
    return made


def sent(world) -> list[bytes]:
    """Certificates that arrived with a delivery of a new event."""
    world.publish()
    world.work()
    return [asked.certificate for asked in world.double.asked]


def test_the_receiver_that_demands_a_certificate_gets_the_stored_one(strict, pairs):
    strict.secrets.put(f"marketing/{NAME}", packed(*pairs[0]))
    strict.deployed(wishing(certificate=NAME))
    assert sent(strict) == [ssl.PEM_cert_to_DER_cert(pairs[0][0].read_text())]
    assert strict.outbox.counts() == {"waiting": 0, "dead": 0}


def test_without_one_or_with_a_strangers_the_event_waits(strict, pairs):
    strict.deployed(wishing())
    assert sent(strict) == []
    strict.secrets.put(f"marketing/{NAME}", packed(*pairs[1]))
    strict.deployed(wishing(certificate=NAME))
    strict.now += 10
    strict.work()
    assert (strict.double.asked, strict.outbox.counts()) == ([], {"waiting": 1, "dead": 0})
    strict.secrets.rotate(f"marketing/{NAME}", packed(*pairs[0]))
    strict.now += 10
    strict.work()
    assert len(strict.double.asked) == 1


@pytest.mark.parametrize("stored", ["", "not base64", base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(), "key"])
def test_what_is_no_certificate_keeps_the_event_and_is_not_shown(strict, pairs, stored):
    value = base64.b64encode(pairs[0][1].read_bytes()).decode() if stored == "key" else stored
    if value:
        strict.secrets.put(f"marketing/{NAME}", value)
    strict.deployed(wishing(certificate=NAME))
    assert sent(strict) == []
    (refused,) = [row for row in strict.records() if row["kind"] == "refused"]
    assert f"marketing/{NAME}" in str(refused)
    assert not value or value[:20] not in str(refused)


def test_neither_key_nor_signing_secret_stands_in_a_record(strict, pairs):
    strict.secrets.put(f"marketing/{NAME}", packed(*pairs[0]))
    strict.deployed(wishing(certificate=NAME))
    assert sent(strict)
    for secret in (packed(*pairs[0])[:60], KEY, "PRIVATE KEY"):
        assert secret not in str(strict.records())


@pytest.mark.parametrize("name", ["certificate-recommender", "consent-0199", "undeclared"])
def test_a_certificate_that_is_not_the_apps_own_is_not_deployed(strict, name):
    made = wishing(certificate=name)
    if name != "undeclared":
        made["spec"]["secrets"].append({"name": name, "ttl": "PT15M", "rotation": "P30D"})
    (found,) = strict.deploy(made).violations
    assert (found.rule, found.path) == (
        "EVT-005" if name == "undeclared" else "EVT-008", "/spec/events/subscribes/0/deliver/certificate",
    )  # fmt: skip
