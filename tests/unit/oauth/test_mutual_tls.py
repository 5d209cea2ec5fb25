"""A client certificate of a tenant: presented to the authorization server and to the API, and what is bound to it."""

from __future__ import annotations

import base64
import json
import ssl

import pytest

from connectors_registry.load import BadEntry, load_registry
from governance.errors import DependencyError, NotFound
from governance.platform.broker.client_certificates import ClientCertificate
from governance.platform.broker.sending import SendFailed, Sent
from governance.platform.certificates import self_signed
from tests.consenting import HOST, registry
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, ISSUER, thumbprint
from tests.unit.oauth.conftest import rules, stored

SECRET = "marketing/certificate-calendar"
BUYING = {"scheme": "client_credentials", "token_url": f"{ISSUER}/token"}


def packed(certificate, key) -> str:
    """As `cat certificate key | base64 -w0` puts it."""
    return base64.b64encode(certificate.read_bytes() + key.read_bytes()).decode()


def thumb(certificate) -> str:
    return thumbprint(ssl.PEM_cert_to_DER_cert(certificate.read_text()))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(certificate, key) of three clients, of which the vendor knows the first two."""
    folder = tmp_path_factory.mktemp("clients")
    return [self_signed(folder / name, [f"{name}.example.com"]) for name in ("broker", "renewed", "stranger")]


@pytest.fixture
def bound(make, pairs):
    """A world whose vendor binds its tokens; `bound(**entry)`."""

    def one(**entry):
        world = make(clients=[pair[0] for pair in pairs[:2]], mutual_tls=True, **entry)
        world.vendor.server.mutual_tls = True
        world.secrets.put(SECRET, packed(*pairs[0]))
        return world

    return one


def test_token_and_call_present_the_certificate_that_the_token_is_bound_to(bound, pairs):
    world = bound()
    called = world.call(world.consent())
    assert (called.refusal, called.status) == (None, 200)
    shown = {one.path: thumbprint(one.certificate) for one in world.vendor.double.asked}
    assert shown == {"/authorize": "", "/token": thumb(pairs[0][0]), "/api/me/events": thumb(pairs[0][0])}
    consents = world.grants.consents.all()
    (streamed,) = world.stream(consents[0])
    assert (streamed.status, thumbprint(world.vendor.double.asked[-1].certificate)) == (200, thumb(pairs[0][0]))
    (kept,) = world.vendor.server.access.values()
    assert kept["cnf"] == {"x5t#S256": thumb(pairs[0][0])}


def test_a_bound_token_is_worth_nothing_without_the_certificate_or_with_another(bound, pairs):
    world = bound()
    consent = world.consent()
    token = stored(world, consent)[0][0]
    sender = world.broker._parts.sender

    def status(certificate):
        headers = {"Authorization": f"Bearer {token}"}
        sent = Sent("GET", HOST, "/api/me/events", headers, certificate=certificate)
        return world.runner.run(sender.send(sent)).status

    one, other = (ClientCertificate(thumb(c), SECRET, c.read_bytes() + k.read_bytes()) for c, k in pairs[:2])
    # The connection of the good one stays open: nobody else's request goes over it.
    assert [status(one), status(None), status(other), status(one)] == [200, 401, 401, 200]


def test_without_a_stored_certificate_nothing_goes_out(bound):
    world = bound()
    consent = world.consent()
    world.secrets.drop(SECRET)
    before = len(world.vendor.double.asked)
    assert rules(world.call(consent)) == {"SEC-005"}
    with pytest.raises(NotFound):
        world.held(consent)
    assert len(world.vendor.double.asked) == before


def test_a_certificate_that_the_vendor_does_not_know_ends_in_no_token(bound, pairs):
    world = bound()
    world.secrets.rotate(SECRET, packed(*pairs[2]))
    with pytest.raises(SendFailed):
        world.consent()


def test_after_the_certificate_changed_tokens_are_renewed_for_the_new_one(bound, pairs):
    world = bound()
    consent = world.consent()
    first = stored(world, consent)
    world.secrets.rotate(SECRET, packed(*pairs[1]))
    assert world.call(consent).status == 200
    second = stored(world, consent)
    assert second[0][0] != first[0][0]
    assert (first[2], second[2]) == (thumb(pairs[0][0]), thumb(pairs[1][0]))


def test_a_client_is_known_by_its_certificate_alone_and_buys_anew_after_a_change(bound, pairs):
    world = bound(auth=BUYING)
    world.secrets.rotate("marketing/calendar", CLIENT_ID)
    server = world.vendor.server
    server.own_certificate = thumb(pairs[0][0])
    assert world.call().status == 200
    assert "authorization" not in world.vendor.double.asked[0].headers
    world.secrets.rotate(SECRET, packed(*pairs[1]))
    with pytest.raises(SendFailed, match="invalid_client"):
        world.call()
    server.own_certificate = thumb(pairs[1][0])
    assert world.call().status == 200
    assert len(server.access) == 2


def test_a_withdrawal_takes_tokens_back_over_the_same_connection(bound):
    world = bound()
    consent = world.consent()
    assert world.runner.run(world.grants.withdrawn(consent, world.connector)) is True
    assert world.vendor.server.access == {}


@pytest.mark.parametrize(
    "made",
    [
        lambda pairs: "no-base64-!",
        lambda pairs: base64.b64encode(b"no pem").decode(),
        lambda pairs: base64.b64encode(pairs[0][0].read_bytes()).decode(),
        lambda pairs: packed(pairs[0][0], pairs[1][1]),
        lambda pairs: packed(pairs[0][1], pairs[0][1]),
    ],
    ids=["no base64", "no certificate", "no key", "another's key", "two keys"],
)
def test_what_is_no_certificate_with_its_key_is_named_and_not_shown(bound, pairs, made, tmp_path, monkeypatch):
    world = bound(auth=BUYING)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    world.secrets.rotate(SECRET, made(pairs))
    with pytest.raises(DependencyError, match=f"{SECRET} is no client certificate") as caught:
        world.call()
    assert "PRIVATE" not in str(caught.value)
    assert world.vendor.double.asked == []
    assert world.records()[-1]["kind"] == "refused"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_neither_key_nor_secret_stands_in_a_record(bound, pairs):
    world = bound()
    world.call(world.consent())
    kept = json.dumps(world.records())
    middle = pairs[0][1].read_text().splitlines()[1]
    assert middle not in kept
    assert packed(*pairs[0])[:60] not in kept
    assert CLIENT_SECRET not in kept


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mutual_tls": "yes"}, "mutual_tls"),
        ({"mutual_tls": True, "auth": {"scheme": "none"}, "smtp": {"from": "a@example.com"}, "recipients": []}, "HTTP"),
    ],
)
def test_an_entry_that_says_it_wrongly_is_not_registered(tmp_path, changes, words):
    with pytest.raises(BadEntry, match=words):
        load_registry(str(registry(tmp_path / "registry", **changes)))


@pytest.mark.parametrize("name", ["certificate-calendar", "consent-0190"])
def test_no_connector_has_a_name_under_which_another_secret_lies(tmp_path, name):
    folder = registry(tmp_path / "registry")
    text = (folder / "connectors" / "calendar.yaml").read_text().replace("name: calendar\n", f"name: {name}\n")
    (folder / "connectors" / f"{name}.yaml").write_text(text)
    with pytest.raises(BadEntry, match="names of other secrets"):
        load_registry(str(folder))
