"""A message that a connector takes by SMTP submission (RFC 6409, RFC 8314), where others take an HTTP request.

An app asks for it like for any call, with `{to, subject, text}` as the body, and all that is decided about a call is decided
about it. Then it goes to an address that was looked at, never before TLS has been verified for the host's name: begun by
STARTTLS on port 587 (RFC 3207) or, where the registry says `tls: implicit`, with the first byte on port 465. From whom it is
stands in the registry. Either all recipients are taken or nobody gets it; it is sent once and not repeated.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import CallerError
from governance.platform.broker.sending import Received, SendFailed

if TYPE_CHECKING:
    from datetime import datetime

    from governance.model.request import Json
    from governance.platform.broker.addresses import Place
    from governance.platform.broker.credentials import Credential
    from governance.platform.broker.sending import Sender

_PORT, _PORT_OF_TLS = 587, 465
_GOOD = 250
# Any server takes it, also one that does not announce 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit")


class Message(NamedTuple):
    """What is sent, to whom, as whom."""

    host: str
    sender: str
    to: tuple[str, ...]
    raw: bytes
    id: str
    is_tls_at_once: bool = False


def is_mail(connector: Json) -> bool:
    """Whether a registered connector is reached by SMTP."""
    return "smtp" in connector


def message_of(host: str, connector: Json, body: Json, now: datetime) -> Message:
    """The message for a call's body. Raises CallerError for one that would be something else than it says."""
    sender = str(connector["smtp"]["from"])
    try:
        made, recipients, text = EmailMessage(policy=_POLICY), body["to"], body["text"]
        # Not of the form of an address: in the answer it would be masked as one.
        made_id = os.urandom(16).hex()
        headers = {
            "From": sender, "To": ", ".join(recipients), "Subject": body["subject"], "Date": format_datetime(now),
            "Message-ID": f"<{made_id}@{sender.rpartition('@')[2]}>", "Auto-Submitted": "auto-generated",
        }  # fmt: skip
        for name, value in headers.items():
            made[name] = value
        made.set_content(text)
        # The envelope names whom the policy read, and the header nobody else.
        found = [address.addr_spec for address in made["To"].addresses]
        is_whole = found == recipients and not made["To"].defects and all(one.isascii() for one in recipients)
        raw = made.as_bytes()
        # A last line break is taken by the header, and ends all headers that should follow.
        is_whole = is_whole and not {"\r", "\n"} & set(body["subject"])
    except (KeyError, TypeError, ValueError, AttributeError, LookupError) as error:
        raise CallerError("is no message {to, subject, text} that can be sent", where="/body") from error
    if not recipients or not is_whole:
        raise CallerError("a recipient is not one plain address, or the subject not one line", where="/body")
    return Message(host, sender, tuple(recipients), raw, made_id, connector["smtp"].get("tls") == "implicit")


async def deliver(sender: Sender, message: Message, credential: Credential, deadline_s: float | None) -> Received:
    """`{id}` once the host has taken it for all. Raises SendFailed, NotReachable."""
    if len(message.raw) > sender.bounds.request_bytes:
        raise SendFailed(f"the message has {len(message.raw)} bytes; at most {sender.bounds.request_bytes} are sent")
    port = _PORT_OF_TLS if message.is_tls_at_once else _PORT
    async with sender.reached(message.host, port, deadline_s) as (place, bounds):
        connection = _Submission(place, bounds.deadline_s, is_tls_at_once=message.is_tls_at_once)
        try:
            await asyncio.to_thread(connection.carry, message, credential)
        finally:
            # Whatever the thread waits for, when time is over it gets nothing any more.
            connection.abort()
    return Received(202, "application/json", {}, json.dumps({"id": message.id}).encode())


class _Submission(smtplib.SMTP):
    """One exchange, to the one address; TLS is verified for the host's name."""

    def __init__(self, place: Place, timeout_s: float, *, is_tls_at_once: bool) -> None:
        """Connects to nothing yet."""
        self._place, self._is_over, self._is_tls_at_once = place, False, is_tls_at_once
        super().__init__(local_hostname="broker.invalid", timeout=timeout_s)
        self._host = place.host

    def carry(self, message: Message, credential: Credential) -> None:
        """Raises SendFailed for a message that is not taken, OSError for a host that fails."""
        with contextlib.closing(self):
            self._check(self.connect(self._place.host, self._place.port)[0], 220, "greeting")
            if not self._is_tls_at_once:
                # Without it nothing is sent: raises SMTPNotSupportedError where it is not offered.
                self._check(self.starttls(context=_tls(self._place))[0], 220, "STARTTLS")
            user, password = _basic(credential)
            if user:
                try:
                    self.login(user, password)
                except smtplib.SMTPAuthenticationError as error:
                    raise SendFailed(f"{message.host} does not take the credential (SMTP {error.smtp_code})") from error
            self.ehlo_or_helo_if_needed()
            self._check(self.mail(message.sender)[0], _GOOD, "the sender")
            for recipient in message.to:
                self._check(self.rcpt(recipient)[0], _GOOD, "a recipient")
            try:
                self._check(self.data(message.raw)[0], _GOOD, "the message")
            except smtplib.SMTPDataError as error:
                raise SendFailed(f"{message.host} refused the message (SMTP {error.smtp_code})") from error

    def abort(self) -> None:
        """End it from another thread; one that is still connecting sends nothing when it has."""
        self._is_over, found = True, self.sock
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def _check(self, code: int, wanted: int, what: str) -> None:
        # What the host says beside the code may repeat what was sent.
        if code != wanted or self._is_over:
            raise SendFailed(f"{self._place.host} refused {what} (SMTP {code})")

    def _get_socket(self, _host: str, port: int, timeout: float) -> Any:
        plain = socket.create_connection((self._place.addresses[0], port), timeout)
        if not self._is_tls_at_once:
            return plain
        context = _tls(self._place)
        # Known before the handshake, so that `abort` ends one that stalls.
        self.sock = context.wrap_socket(plain, server_hostname=self._place.host, do_handshake_on_connect=False)
        self.sock.do_handshake()
        return self.sock


def _tls(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _basic(credential: Credential) -> tuple[str, str]:
    """User and password of RFC 7617, as the credential puts them; empty for none."""
    encoded = credential.headers.get("Authorization", "").removeprefix("Basic ")
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return user, password
