"""Questions to a vendor's authorization server, over the broker's own guarded way out.

Each is a form to one of the addresses that the connector's entry names (RFC 6749 token endpoint, RFC 7009 revocation, RFC 8628
device authorization). An answer counts only if it is a token of the kind that was asked for, for no more scopes than that.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

from governance.platform.broker.sending import SendFailed, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.request import Json
    from governance.platform.broker.client_certificates import ClientCertificate
    from governance.platform.broker.sending import Received, Sender
    from governance.platform.oauth.dpop import ProofKey

JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name of RFC 8693
_DEFAULT_LIFE_S, _DEVICE_PAUSE_S = 300, 5
# A person who types a code takes minutes; a question that stays open for hours waits for somebody to be talked into it.
_LONGEST_DEVICE_S, _LONGEST_PAUSE_S = 1800, 60
# RFC 6750, section 2.1, and what vendors take beside it; nothing that ends a header's value, or begins another one.
_TOKEN = re.compile(r"[!-~]+")
_ERROR = re.compile(r"[a-z]{1,20}(_[a-z]{1,20}){0,4}")


class TokenRefused(SendFailed):
    """The authorization server answered with an error of RFC 6749, section 5.2; `error` is its word for it."""

    code = "token_refused"

    def __init__(self, host: str, error: str, status: int) -> None:
        # Whatever is not such a word may be what was sent.
        said = error if _ERROR.fullmatch(error) else "something else than a token"
        super().__init__(f"{host} gave no token: {said} (status {status})", hint="is the credential right?")
        self.error = error


class Client(NamedTuple):
    """How the broker is known at the authorization server. No secret: a public client (RFC 6749, section 2.1)."""

    id: str
    secret: str
    certificate: ClientCertificate | None = None
    """Presented to it (RFC 8705), in place of the secret or beside it."""

    @staticmethod
    def read(value: str, certificate: ClientCertificate | None = None) -> Client:
        """From `client_id:client_secret`, as the store of secrets holds it."""
        user, _, password = value.partition(":")
        return Client(user, password, certificate)

    def __repr__(self) -> str:
        return f"Client({self.id!r}, ***)"


class Tokens(NamedTuple):
    """What an authorization server gave."""

    access: str
    kind: str
    """`Bearer` or `DPoP`."""
    ends: float
    """Seconds since 1970."""
    scopes: tuple[str, ...]
    refresh: str = ""
    id_token: str = ""

    def __repr__(self) -> str:
        return f"Tokens({self.kind}, {self.scopes}, ***)"


class Device(NamedTuple):
    """A device flow that has begun (RFC 8628, section 3.2)."""

    code: str
    user_code: str
    verification_uri: str
    expires_in_s: int
    interval_s: int


class Vendor:
    """Authorization servers, asked through one sender."""

    def __init__(self, sender: Sender, clock: Callable[[], float] = time.time) -> None:
        self._sender = sender
        self.clock = clock

    async def tokens(
        self, url: str, client: Client, form: dict[str, str], scopes: tuple[str, ...], key: ProofKey | None = None
    ) -> Tokens:
        """Ask the token endpoint. Raises TokenRefused, or SendFailed for an answer that is no token for at most `scopes`."""
        answer = await self._answer(url, client, form, key)
        host = urlsplit(url).hostname or ""
        said = _object(answer)
        if answer.status != 200:
            raise TokenRefused(host, str(said.get("error", "")), answer.status)
        return self._read(said, host, scopes, "DPoP" if key is not None else "Bearer")

    async def device(self, url: str, client: Client, scopes: tuple[str, ...]) -> Device:
        """Begin a device flow. Raises TokenRefused or SendFailed."""
        answer = await self._answer(url, client, {"scope": " ".join(scopes)}, None)
        said, host = _object(answer), urlsplit(url).hostname or ""
        if answer.status != 200:
            raise TokenRefused(host, str(said.get("error", "")), answer.status)
        try:
            begun = Device(
                str(said["device_code"]), str(said["user_code"]), str(said["verification_uri"]), int(said["expires_in"]),
                int(said.get("interval", _DEVICE_PAUSE_S)),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SendFailed(f"{host} did not begin a device flow") from error
        if not all(text and text.isprintable() and text.isascii() for text in begun[:3]):
            raise SendFailed(f"{host} says what no terminal should show")
        if not begun.verification_uri.startswith("https://"):
            raise SendFailed(f"{host} sends people to an address that is not https")
        lives_s = min(begun.expires_in_s, _LONGEST_DEVICE_S)
        return begun._replace(expires_in_s=lives_s, interval_s=min(begun.interval_s, _LONGEST_PAUSE_S))

    async def revoke(self, url: str, client: Client, token: str, hint: str) -> bool:
        """Whether the vendor took a token back (RFC 7009); False where it could not be asked."""
        try:
            form = {"token": token, "token_type_hint": hint}
            return (await self._answer(url, client, form, None)).status == 200
        except SendFailed:
            return False

    async def _answer(self, url: str, client: Client, form: dict[str, str], key: ProofKey | None) -> Received:
        answer = await self._sender.send(_sent(url, client, form, key))
        nonce = answer.headers.get("dpop-nonce", "")
        # RFC 9449, section 8: the server may want its own nonce in the proof, and says so once.
        if key is not None and nonce and _object(answer).get("error") == "use_dpop_nonce":
            answer = await self._sender.send(_sent(url, client, form, key, nonce))
        return answer

    def _read(self, said: dict[str, Json], host: str, scopes: tuple[str, ...], wanted: str) -> Tokens:
        try:
            token, kind, lives = said["access_token"], str(said["token_type"]).lower(), said.get("expires_in")
            ends = self.clock() + (_DEFAULT_LIFE_S if lives is None else int(lives))
            granted = tuple(str(said["scope"]).split()) if isinstance(said.get("scope"), str) else scopes
            # A bearer token where a bound one was asked for would be a downgrade.
            is_good = isinstance(said.get("scope", ""), str) and kind == wanted.lower()
        except (KeyError, TypeError, ValueError, OverflowError):
            is_good, token, kind, ends, granted = False, "", "", 0.0, ()
        more = [said.get("refresh_token") or "", said.get("id_token") or ""]
        # RFC 8693, section 2.2.1: what was exchanged for says what it is, and nothing else is taken for it.
        is_good = is_good and said.get("issued_token_type", ACCESS_TOKEN) in (ACCESS_TOKEN, JWT)
        if not is_good or not all(isinstance(t, str) and _TOKEN.fullmatch(t) for t in (token, *filter(None, more))):
            raise SendFailed(f"{host} gave no token that can be used", hint="is the credential right?")
        if set(granted) - set(scopes):
            raise SendFailed(f"{host} gave a token for more scopes than were asked for")
        return Tokens(token, "DPoP" if kind == "dpop" else "Bearer", ends, granted, more[0], more[1])


def _sent(url: str, client: Client, form: dict[str, str], key: ProofKey | None, nonce: str = "") -> Sent:
    parts = urlsplit(url)
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if client.secret:
        # RFC 6749, section 2.3.1: both are form-encoded before they become Basic credentials.
        basic = base64.b64encode(f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    elif client.id:
        form = {**form, "client_id": client.id}
    if key is not None:
        headers["DPoP"] = key.proof("POST", url, nonce=nonce)
    return Sent("POST", parts.hostname or "", parts.path or "/", headers, urlencode(form).encode(), client.certificate)


def _object(answer: Received) -> dict[str, Json]:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = {}
    return said if isinstance(said, dict) else {}
