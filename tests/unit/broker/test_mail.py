"""Mail by a call: decided on like any other, sent over verified STARTTLS to a real SMTP server, or not at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st

from connectors_registry.load import BadEntry, load_registry
from governance.errors import CallerError
from governance.platform.broker.addresses import Place
from governance.platform.broker.credentials import Credential
from governance.platform.broker.mail import _Submission, deliver, message_of
from governance.platform.broker.sending import SendFailed
from governance.platform.certificates import self_signed
from tests.consenting import CALENDAR, HOST, registry
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET
from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there
from tests.unit.oauth.conftest import World, rules

# The double does not know that TLS has begun before it speaks.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
SHIPPED = load_registry().connectors["smtp"]
SCHEMA = SHIPPED["operations"][0]["request"]
ENTRY = {
    "auth": {"scheme": "basic"},
    "smtp": {"from": "apps@example.com"},
    "recipients": ["example.com"],
    "data_classes": SHIPPED["data_classes"],
    "operations": [
        {"name": "send", "method": "POST", "paths": ["/messages"], "scope": "Calendars.Read", "request": SCHEMA}
    ],
}  # fmt: skip
LETTER = {"to": ["ada@example.com"], "subject": "Mittagessen für alle", "text": "At noon.\r\n.\r\nBring grüne Äpfel."}


class Server:
    """`mails` is what was taken; `refuses` an address that is not; `stalls` makes it slow, `offers` what EHLO says."""

    def __init__(self, folder, name: str = HOST, *, is_tls_at_once: bool = False) -> None:
        certificate, key = self_signed(folder, [name])
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.mails, self.logins, self.commands = [], [], []
        self.refuses, self.password, self.has_tls, self.stalls_s = "", CLIENT_SECRET, True, 0.0
        self._loop = asyncio.new_event_loop()
        self._is_tls_at_once = is_tls_at_once
        started = self._loop.create_server(
            self._session, "127.0.0.1", 0, ssl=self._tls if is_tls_at_once else None, ssl_handshake_timeout=None
        )
        self._server = self._loop.run_until_complete(started)
        port = self._server.sockets[0].getsockname()[1]
        self.pin = {"address": "127.0.0.1", "port": port, "ca_file": str(certificate)}
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _session(self) -> SMTP:
        if self._is_tls_at_once:
            # It does not know that TLS has begun, and so neither offers it nor waits for it.
            return SMTP(
                self, authenticator=self._authenticated, loop=self._loop, auth_required=True, auth_require_tls=False,
                hostname="double", auth_exclude_mechanism=["LOGIN"],
            )  # fmt: skip
        return SMTP(
            self, tls_context=self._tls if self.has_tls else None, authenticator=self._authenticated, loop=self._loop,
            auth_required=self.has_tls, require_starttls=self.has_tls, hostname="double",
            auth_exclude_mechanism=["LOGIN"],
        )  # fmt: skip

    def _authenticated(self, _server, _session, _envelope, mechanism, data) -> AuthResult:
        self.logins.append((mechanism, data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == self.password, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, _options):  # noqa: N802  aiosmtpd's name
        assert self._is_tls_at_once or session.ssl is not None
        assert server.transport.get_extra_info("ssl_object") is not None
        if address == self.refuses:
            return "550 no such mailbox: canary-said-by-the-host"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  aiosmtpd's name
        await asyncio.sleep(self.stalls_s)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 taken"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        self._loop.close()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "smtp")
    yield made
    made.stop()


@pytest.fixture
def world(tmp_path, server):
    made = of(tmp_path, server)
    yield made
    made.close()


def of(folder, server, deadline_ms: int = 60_000, **entry) -> World:
    pins = folder / "mail-pins.json"
    pins.write_text(json.dumps({HOST: server.pin}))
    settings = {"connector_pins": str(pins), "connector_deadline_ms": str(deadline_ms)}
    return World(folder / "world", settings=settings, **{**ENTRY, **entry})


def send(world, **changes):
    url = f"https://{HOST}/messages"
    return world.call(operation="send", method="POST", url=url, body={**LETTER, **changes})


def test_a_message_is_sent_signed_in_and_said_to_be_sent(world, server):
    called = send(world)
    assert (called.refusal, called.status) == (None, 202), called
    ((sender, to, mail),) = server.mails
    assert (sender, to) == ("apps@example.com", ["ada@example.com"])
    assert (mail["From"], mail["To"], mail["Subject"]) == ("apps@example.com", "ada@example.com", LETTER["subject"])
    assert mail.get_content().splitlines() == LETTER["text"].splitlines()
    assert mail["Message-ID"] == f"<{called.answer['id']}@example.com>"
    assert server.logins[-1][1:] == (CLIENT_ID, CLIENT_SECRET)
    kinds = [record["kind"] for record in world.records()][-2:]
    assert kinds == ["connector_call", "data_flow"]


@pytest.mark.parametrize(
    "to",
    [
        ["eve@evil.example"], ["ada@example.com", "eve@evil.example"], ["a@evil.example@example.com"], [], "ada@example.com",
        ["ada@example.com, eve@evil.example"], ["ada@example.com\r\nBcc: eve@evil.example"], ["<ada@example.com>"],
        ["Ada <eve@evil.example>"], ["ada@example.com> NOTIFY=SUCCESS"], ["ada@éxample.com"], [None], None, ["ada"],
        ["ada@[127.0.0.1]"], ['"a b"@example.com'],
    ],
)  # fmt: skip
def test_a_recipient_elsewhere_or_none_that_is_one_is_refused_by_policy(world, server, to):
    assert rules(send(world, to=to)) & {"CONN-016", "CONN-012"}
    assert (server.mails, server.logins) == ([], [])


@pytest.mark.parametrize("subject", ["x\r\nBcc: eve@evil.example", "x\nX-Other: 1", "x\r\n\r\nbody", ""])
def test_a_subject_begins_no_header_of_its_own(world, server, subject):
    assert rules(send(world, subject=subject)) == {"CONN-012"}
    assert server.mails == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Pay to DE89370400440532013000", "DATA-008"), ("Card 4111 1111 1111 1111", "DATA-008"),
        ("The key is AKIAIOSFODNN7EXAMPLE", "DATA-010"),
    ],
)  # fmt: skip
def test_what_the_connector_may_not_have_does_not_leave_in_a_message(world, server, text, rule):
    assert rules(send(world, text=text)) == {rule}
    assert rules(send(world, subject=text)) == {rule}
    assert server.mails == []


def test_all_recipients_or_nobody(world, server):
    server.refuses = "ben@example.com"
    with pytest.raises(SendFailed, match=r"refused a recipient \(SMTP 550\)") as caught:
        send(world, to=["ada@example.com", "ben@example.com"])
    assert "canary" not in str(caught.value)
    assert server.mails == []
    assert send(world).status == 202, "a recipient that is refused says nothing about the host"


AT_ONCE = {"smtp": {"from": "apps@example.com", "tls": "implicit"}}


@pytest.fixture
def server_of_tls(tmp_path):
    made = Server(tmp_path / "smtps", is_tls_at_once=True)
    yield made
    made.stop()


def test_where_the_registry_says_so_tls_begins_with_the_first_byte(tmp_path, server_of_tls):
    world = of(tmp_path, server_of_tls, **AT_ONCE)
    called = send(world)
    assert (called.refusal, called.status) == (None, 202)
    [(sender, to, mail)] = server_of_tls.mails
    assert (sender, to, mail["Subject"]) == ("apps@example.com", ["ada@example.com"], LETTER["subject"])
    assert server_of_tls.logins == [("PLAIN", CLIENT_ID, CLIENT_SECRET)]
    world.close()


def test_neither_way_of_tls_is_taken_for_the_other(tmp_path, server, server_of_tls):
    """A host that speaks first, in the open, is no answer to a handshake; and one that waits for it never greets."""
    for number, (host, entry) in enumerate([(server, AT_ONCE), (server_of_tls, {})]):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = of(folder, host, **entry)
        sender = world.broker._parts.sender
        sender.bounds = sender.bounds._replace(deadline_s=0.5)
        with pytest.raises(SendFailed):
            send(world)
        assert (host.mails, host.logins) == ([], [])
        assert world.records()[-1]["kind"] == "refused"
        world.close()


def test_with_tls_at_once_a_certificate_for_another_host_gets_no_credential(tmp_path):
    other = Server(tmp_path / "smtps", "other.example.com", is_tls_at_once=True)
    world = of(tmp_path, other, **AT_ONCE)
    with pytest.raises(SendFailed, match="certificate is not one for this host"):
        send(world)
    assert (other.logins, other.mails) == ([], [])
    world.close()
    other.stop()


def test_a_handshake_that_never_comes_ends_with_the_deadline(tmp_path):
    """Accepted by the kernel, answered by nobody."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        connection = _Submission(Place(HOST, ("127.0.0.1",), port), 30.0, is_tls_at_once=True)

        def connect() -> None:
            with pytest.raises((OSError, ValueError)):
                connection.connect(HOST, port)

        sending = threading.Thread(target=connect)
        sending.start()
        while connection.sock is None:
            time.sleep(0.01)
        connection.abort()
        sending.join(10)
        assert not sending.is_alive()
        connection.close()


def test_the_port_is_that_of_the_way(world):
    asked = []
    real = world.broker._parts.sender._addresses

    class Ports:
        async def place(self, host, port=443):
            asked.append(port)
            return await real.place(host, port)

    world.broker._parts.sender._addresses = Ports()
    for tls in (False, True):
        message = message_of(
            HOST, {"smtp": {"from": "a@example.com", **({"tls": "implicit"} if tls else {})}}, LETTER, datetime.now(UTC)
        )
        with contextlib.suppress(SendFailed):
            world.runner.run(deliver(world.broker._parts.sender, message, Credential({}, ()), 0.5))
    assert asked == [587, 465]


def test_what_is_said_before_tls_counts_for_nothing_after_it(tmp_path):
    """Answers that somebody in between put behind the host's, in the open, are not those to questions under TLS."""
    certificate, key = self_signed(tmp_path / "smtp", [HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    said: list[bytes] = []

    def talk(listening) -> None:
        accepted, _ = listening.accept()
        accepted.sendall(b"220 double\r\n")
        accepted.recv(1000)
        accepted.sendall(b"250-double\r\n250 STARTTLS\r\n")
        accepted.recv(1000)
        accepted.sendall(b"220 go\r\n250-evil\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n")
        with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as under_tls:
            while line := under_tls.recv(1000):
                said.append(line)
                under_tls.sendall(b"250-double\r\n250 AUTH PLAIN\r\n" if line.startswith(b"ehlo") else b"535 no\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        talking = threading.Thread(target=talk, args=(listening,))
        talking.start()
        place = Place(HOST, ("127.0.0.1",), listening.getsockname()[1], str(certificate))
        message = message_of(HOST, ENTRY, LETTER, datetime.now(UTC))
        shown = Credential({"Authorization": "Basic " + base64.b64encode(b"user:password").decode()}, ())
        with pytest.raises((SendFailed, OSError)):
            _Submission(place, 5.0, is_tls_at_once=False).carry(message, shown)
        talking.join(10)
    assert not any(line.startswith(b"AUTH LOGIN") for line in said)


def test_without_tls_nothing_is_said_to_the_host(world, server):
    server.has_tls = False
    with pytest.raises(SendFailed):
        send(world)
    assert (server.mails, server.logins) == ([], [])


def test_a_certificate_for_another_host_gets_no_credential(tmp_path):
    server = Server(tmp_path / "smtp", "mail.other.example")
    world = of(tmp_path, server)
    try:
        with pytest.raises(SendFailed, match="certificate is not one for this host"):
            send(world)
        assert (server.mails, server.logins) == ([], [])
    finally:
        world.close()
        server.stop()


def test_a_credential_that_is_not_taken_is_not_shown(world, server):
    server.password = "other"
    with pytest.raises(SendFailed, match="does not take the credential") as caught:
        send(world)
    assert CLIENT_SECRET not in str(caught.value)
    assert server.mails == []
    assert CLIENT_SECRET not in json.dumps(world.records())


def test_a_host_that_stalls_is_left_at_the_deadline(tmp_path, server):
    server.stalls_s = 60.0
    world = of(tmp_path, server, deadline_ms=500)
    try:
        with pytest.raises(SendFailed):
            send(world)
    finally:
        world.close()
    assert server.mails == []


def test_an_address_that_is_not_public_is_not_connected_to(tmp_path, server):
    world = of(tmp_path, server)
    try:
        sender = world.broker._parts.sender
        sender._addresses._pins = {}

        async def rebound(_host: str) -> list[str]:
            return ["127.0.0.1"]

        sender._addresses._resolve = rebound
        with pytest.raises(Exception, match="not of the public internet"):
            send(world)
        assert server.logins == []
    finally:
        world.close()


@given(st.lists(st.text(max_size=40), max_size=3), st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_asked_for_the_message_goes_to_whom_the_call_names_or_is_none(to, subject, text):
    """Without the schema in front: nothing that an app says becomes a header or a recipient of its own."""
    entry = {"smtp": {"from": "apps@example.com"}}
    asked = {"to": [*to, "ada@example.com"], "subject": subject, "text": text}
    try:
        made = message_of(HOST, entry, asked, datetime(2026, 11, 25, tzinfo=UTC))
    except CallerError:
        return
    read = message_from_bytes(made.raw, policy=default)
    assert made.raw.isascii()
    assert [one.addr_spec for one in read["To"].addresses] == asked["to"] == list(made.to)
    assert read.keys() == [
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
        "MIME-Version",
    ]  # fmt: skip


def test_plain_addresses_are_taken():
    entry, to = {"smtp": {"from": "apps@example.com"}}, ["ada@example.com", "ben.beispiel+x@example.com"]
    made = message_of(HOST, entry, {"to": to, "subject": "s", "text": "t"}, datetime(2026, 11, 25, tzinfo=UTC))
    assert (made.to, made.sender, made.host) == (tuple(to), "apps@example.com", HOST)


@pytest.mark.parametrize(
    "changes",
    [
        {"smtp": {}}, {"smtp": {"from": "a@b.example\nBcc: x"}}, {"recipients": ["*"]}, {"recipients": ["Example.com"]},
        {"recipients": [7]}, {"auth": {"scheme": "bearer"}}, {"smtp": {"from": "a@b.example", "port": 25}},
        {"smtp": {"from": "a@b.example", "tls": "none"}}, {"smtp": {"from": "a@b.example", "tls": True}},
        {"smtp": {"from": "a@b.example", "tls": ["implicit"]}}, {"smtp": {"tls": "implicit"}},
    ],
)  # fmt: skip
def test_a_connector_that_says_half_of_it_is_not_registered(tmp_path, changes):
    with pytest.raises(BadEntry):
        load_registry(str(registry(tmp_path / "registry", **{**ENTRY, **changes})))


def test_mail_without_a_list_of_domains_is_not_registered(tmp_path):
    alone = {name: value for name, value in ENTRY.items() if name != "recipients"}
    with pytest.raises(BadEntry, match="recipients"):
        load_registry(str(registry(tmp_path / "registry", **{**CALENDAR, **alone})))
