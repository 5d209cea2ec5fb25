"""From a person's yes to a token, and back: authorization code with PKCE, device flow, renewal, withdrawal.

Whether a consent may be asked for or used is not decided here: the line decides before `asked`, and again at every call. Here
the protocols are carried out so that nobody can finish somebody else's question (state, PKCE, issuer and session all have to
fit), and tokens go from the vendor to the store of secrets without anybody seeing them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from governance.errors import CallerError, Forbidden, GovernanceError, NotFound
from governance.model.moment import utc_now
from governance.model.request import Source
from governance.platform.broker.client_certificates import certificate_of
from governance.platform.broker.sending import SendFailed
from governance.platform.oauth.asking import handing_back
from governance.platform.oauth.dpop import ProofKey
from governance.platform.oauth.vendor import Client, TokenRefused, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json
    from governance.pipeline import Pipeline
    from governance.platform.broker.secrets import Secrets
    from governance.platform.oauth.consents import Consent, Consents
    from governance.platform.oauth.sessions import Session
    from governance.platform.oauth.vendor import Device, Vendor

# A token is renewed this long before it ends.
_EARLY_S = 30
_LEASE_S, _PAUSE_S = 30.0, 0.05
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER_S = 5
_LONGEST_PARAMETER = 4096


class ConsentEnded(SendFailed):
    """The vendor no longer honours a consent: the person, or the vendor, ended it there."""

    code = "consent_ended"


class Held(NamedTuple):
    """Tokens of one consent as they are stored; `key` is the private JWK of a bound token."""

    tokens: Tokens
    key: Json = None
    certificate: str = ""
    """Thumbprint of the client certificate that was presented for them."""

    def text(self) -> str:
        """For the store of secrets."""
        return json.dumps([self.tokens, self.key, self.certificate])

    @staticmethod
    def read(text: str) -> Held:
        """From the store of secrets."""
        tokens, *bound = json.loads(text)
        found = Tokens(*tokens)
        return Held(found._replace(scopes=tuple(found.scopes)), *bound)

    def __repr__(self) -> str:
        return "Held(***)"


class Grants:
    """Consents of people carried out at vendors; belongs to one event loop, like the sender below it."""

    def __init__(self, consents: Consents, secrets: Secrets, vendor: Vendor, line: Pipeline | None = None) -> None:
        """`line`: decides whether a token that comes too late is handed back; None: it never is."""
        self.consents = consents
        self._secrets = secrets
        self._vendor = vendor
        self._line = line
        self._renewing: set[asyncio.Task[Held | None]] = set()

    async def ask(self, consent: Consent, connector: Json, session: Session, redirect_uri: str) -> str:
        """Keep an asked consent; gives the address at the vendor that the person's browser goes to next."""
        oauth = connector["oauth"]
        client = await self._client(consent, connector)
        state = os.urandom(32).hex()
        self.consents.ask(consent, _digest(state))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(_verifier(session, state).encode()).digest())
        query = {
            "response_type": "code", "client_id": client.id, "redirect_uri": redirect_uri, "state": state,
            "scope": " ".join(consent.scopes), "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }  # fmt: skip
        if "openid" in consent.scopes:
            query["nonce"] = session.derived("nonce", state)
        # What a vendor wants beside the standard's members; it takes the place of none of them.
        return f"{oauth['authorization_url']}?{urlencode({**oauth.get('parameters', {}), **query})}"

    def answered(self, said: Mapping[str, list[str]], connector: Json, session: Session, place: str) -> Consent:
        """The consent that a vendor's answer is about; the question is used up, whatever comes of it.

        Raises CallerError for an answer to no question of this person's at this connector, or from another vendor.
        """
        state = _one(said, "state")
        consent = self.consents.answered(_digest(state)) if state else None
        if consent is None:
            raise CallerError("this answers no question that is open", where=place, hint="begin again at the app")
        issuer = str(connector.get("oauth", {}).get("issuer", ""))
        # RFC 9207: an answer that another server's user was led to brings that server's name, or none.
        if consent.connector != connector["name"] or (issuer and _one(said, "iss") != issuer):
            raise CallerError("the answer comes from somebody else than was asked", where=place)
        if consent.person != session.identity.actor:
            raise Forbidden("somebody else was asked", where=place)
        return consent

    async def given(
        self, consent: Consent, said: Mapping[str, list[str]], connector: Json, session: Session, redirect_uri: str
    ) -> Consent:
        """Turn the vendor's code into a token and store it. The consent is not in force yet: `in_force` puts it there."""
        code = _one(said, "code")
        if not code:
            raise CallerError(f"the vendor gave no code: {_one(said, 'error')[:60] or 'no reason'}")
        state = _one(said, "state")
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": _verifier(session, state),
        }  # fmt: skip
        client = await self._client(consent, connector)
        held = await self._bought(consent, connector, client, form)
        if "openid" in consent.scopes:
            wanted = {
                "aud": client.id,
                "nonce": session.derived("nonce", state),
                "iss": connector["oauth"].get("issuer"),
            }
            _check_id_token(held.tokens.id_token, wanted, self._vendor.clock())
        return await self._kept(consent, held)

    async def device(self, consent: Consent, connector: Json) -> Device:
        """Begin a device flow (RFC 8628); the person types `user_code` at `verification_uri`."""
        url = str(connector["oauth"]["device_authorization_url"])
        begun = await self._vendor.device(url, await self._client(consent, connector), consent.scopes)
        self.consents.ask(consent, "")
        return begun

    async def device_given(self, consent: Consent, connector: Json, begun: Device) -> Consent:
        """Wait until the person has answered at the vendor; raises TokenRefused where they said no or took too long."""
        form = {"grant_type": _DEVICE_GRANT, "device_code": begun.code}
        client = await self._client(consent, connector)
        pause, ends = max(1, begun.interval_s), self._vendor.clock() + begun.expires_in_s
        while True:
            try:
                return await self._kept(consent, await self._bought(consent, connector, client, form))
            except TokenRefused as error:
                if error.error not in {"authorization_pending", "slow_down"} or self._vendor.clock() + pause > ends:
                    raise
                pause += _SLOWER_S if error.error == "slow_down" else 0
            await asyncio.sleep(pause)

    def in_force(self, consent: Consent) -> None:
        """Put a consent in force whose record is written; raises CallerError where it ended in the meantime."""
        if not self.consents.give(consent):
            raise CallerError("the consent was withdrawn in the meantime", hint="begin again at the app")

    async def held(self, consent_id: str, connector: Json) -> Held:
        """The tokens to call with, renewed where they are about to end. Raises SendFailed, NotFound or DependencyError."""
        while True:
            consent = await asyncio.to_thread(self.consents.get, consent_id)
            if consent is None or consent.state != "given":
                raise NotFound("the consent is not in force")
            held = Held.read((await asyncio.to_thread(self._secrets.get, consent.handle)).reveal())
            if await self._is_good(held, consent, connector):
                return held
            if not held.tokens.refresh:
                raise SendFailed(
                    "the token is over, and the vendor gave none to renew it with", hint="ask the person again"
                )
            # A vendor that rotates has ended the old token by the time it answers: whoever asked may give up, a renewal never.
            renewing = asyncio.ensure_future(self._renewed_alone(consent, connector))
            self._renewing.add(renewing)
            renewing.add_done_callback(self._renewing.discard)
            renewed = await asyncio.shield(renewing)
            if renewed is not None:
                return renewed
            # Two that renew at once look like theft to a vendor that rotates, and it would end the whole grant.
            await asyncio.sleep(_PAUSE_S)

    async def settled(self) -> None:
        """Return once no token is being renewed any longer; the vendor's deadline bounds it."""
        await asyncio.gather(*self._renewing, return_exceptions=True)

    async def withdrawn(self, consent: Consent, connector: Json | None) -> bool | None:
        """Forget the tokens of a consent that has ended, and have the vendor do the same.

        `connector`: a document that policy lets be told, None without one: then nothing leaves this place. Gives whether
        the vendor took the tokens back; None where it offers no such thing or there were none.
        """
        try:
            held = Held.read((await asyncio.to_thread(self._secrets.get, consent.handle)).reveal())
        except NotFound:
            return None
        await asyncio.to_thread(self._secrets.drop, consent.handle)
        return False if connector is None else await self._taken_back(consent, connector, held.tokens)

    async def _taken_back(self, consent: Consent, connector: Json, tokens: Tokens) -> bool | None:
        url = connector.get("oauth", {}).get("revocation_url")
        if not url:
            return None
        client = await self._client(consent, connector)
        # The refresh token first: most vendors end what it gave with it.
        asked = [(tokens.refresh, "refresh_token")] if tokens.refresh else []
        done = [await self._vendor.revoke(url, client, *one) for one in [*asked, (tokens.access, "access_token")]]
        return all(done)

    async def _renewed_alone(self, consent: Consent, connector: Json) -> Held | None:
        """The renewed tokens; None while somebody else renews them."""
        if not await asyncio.to_thread(self.consents.lease, consent.id, _LEASE_S):
            return None
        try:
            return await self._renewed(consent, connector)
        finally:
            await asyncio.to_thread(self.consents.release, consent.id)

    async def _renewed(self, consent: Consent, connector: Json) -> Held:
        held = Held.read((await asyncio.to_thread(self._secrets.get, consent.handle)).reveal())
        if await self._is_good(held, consent, connector):
            return held
        form = {"grant_type": "refresh_token", "refresh_token": held.tokens.refresh}
        try:
            bought = await self._bought(consent, connector, await self._client(consent, connector), form, held.key)
        except TokenRefused as error:
            if error.error == "invalid_grant":
                await asyncio.to_thread(self.consents.withdraw, consent.id, "vendor", utc_now())
                await asyncio.to_thread(self._secrets.drop, consent.handle)
                raise ConsentEnded(f"the vendor ended the consent {consent.id}", hint="ask the person again") from error
            raise
        # A vendor that rotates gives a new refresh token; one that does not lets the old one stand.
        tokens = bought.tokens._replace(refresh=bought.tokens.refresh or held.tokens.refresh)
        try:
            await asyncio.to_thread(self._secrets.rotate, consent.handle, bought._replace(tokens=tokens).text())
        except NotFound:
            # Withdrawn meanwhile: nothing is kept, and whether the vendor is told is a question of its own.
            if await self._may_be_told(consent):
                await self._taken_back(consent, connector, tokens)
            raise
        return bought._replace(tokens=tokens)

    async def _may_be_told(self, consent: Consent) -> bool:
        """What cannot be decided or recorded may not leave."""
        if self._line is None:
            return False
        try:
            decision = await self._line.adecide(handing_back(consent, Source("broker", f"app:{consent.app}", ("app",))))
        except GovernanceError:
            return False
        return decision.is_allowed

    async def _is_good(self, held: Held, consent: Consent, connector: Json) -> bool:
        """Whether a token lives long enough yet, on the connections that are made now."""
        if self._vendor.clock() >= held.tokens.ends - _EARLY_S:
            return False
        certificate = await certificate_of(self._secrets, consent.tenant, connector)
        return held.certificate == (certificate.thumbprint if certificate else "")

    async def _bought(
        self, consent: Consent, connector: Json, client: Client, form: dict[str, str], jwk: Json = None
    ) -> Held:
        oauth = connector["oauth"]
        if oauth.get("dpop") is True and jwk is None:
            jwk = ProofKey.made()
        key = ProofKey(jwk, self._vendor.clock) if jwk is not None else None
        tokens = await self._vendor.tokens(str(oauth["token_url"]), client, form, consent.scopes, key)
        return Held(tokens, jwk, client.certificate.thumbprint if client.certificate else "")

    async def _kept(self, consent: Consent, held: Held) -> Consent:
        await asyncio.to_thread(self._secrets.put, consent.handle, held.text())
        # A vendor may have let the person leave something out.
        return consent._replace(scopes=held.tokens.scopes, given_at=utc_now(), state="given")

    async def _client(self, consent: Consent, connector: Json) -> Client:
        found = await asyncio.to_thread(self._secrets.get, f"{consent.tenant}/{consent.connector}")
        return Client.read(found.reveal(), await certificate_of(self._secrets, consent.tenant, connector))


def _verifier(session: Session, state: str) -> str:
    return session.derived("pkce", state)


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _one(said: Mapping[str, list[str]], name: str) -> str:
    """A parameter that may stand once only (RFC 6749, section 3.1); empty where it is missing."""
    values = said.get(name, [])
    if len(values) > 1 or any(len(value) > _LONGEST_PARAMETER for value in values):
        raise CallerError(f"{name} stands there twice, or is too long", where="query string")
    return values[0] if values else ""


def _check_id_token(token: str, wanted: dict[str, str | None], now: float) -> None:
    """That an ID token answers this very question (OpenID Connect Core 1.0, section 3.1.3.7). `wanted`: None is not looked at.

    It came straight from the token endpoint, over TLS that was verified: that stands for its signature (item 6 there).
    """
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        said = {**claims, "aud": audience[0] if len(audience) == 1 else audience}
        is_good = (
            all(said[name] == value for name, value in wanted.items() if value is not None) and claims["exp"] > now
        )
    except (IndexError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SendFailed("the vendor's ID token cannot be read") from error
    if not is_good:
        raise SendFailed("the vendor's ID token answers another question")
