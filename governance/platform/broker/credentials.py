"""Which credential a connector takes, and how it is put on a request: after the decision, where no app sees it.

The registry says how (`auth`), the store of secrets holds what, under `tenant/connector`. Schemes: `none`; `bearer`
(RFC 6750); `basic` (RFC 7617, the secret is `user:password`); `header` (the secret is the value of the named header);
`client_credentials` (RFC 6749, section 4.4: the secret is `client_id:client_secret`, and the token it buys lives here until
shortly before its end); `token_exchange` (RFC 8693: an app token of ours is exchanged for one of the vendor's, which trusts our
published keys, so no secret of the vendor's lies here); `person` (the tokens of a person's consent, renewed as needed).
With `mutual_tls` the tenant's client certificate is presented beside it, to the authorization server and to the API.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import NotFound
from governance.platform.broker.client_certificates import certificate_of, handle_of, is_mutual
from governance.platform.broker.secrets import age_days
from governance.platform.oauth.dpop import ProofKey
from governance.platform.oauth.vendor import ACCESS_TOKEN, JWT, Client, Vendor

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.request import Json
    from governance.platform.broker.client_certificates import ClientCertificate
    from governance.platform.broker.secrets import Secrets
    from governance.platform.broker.sending import Sender
    from governance.platform.broker.tokens import AppTokens, Caller
    from governance.platform.oauth.grants import Grants

# A token is bought anew this long before it ends.
_EARLY_S = 30
_LONGEST_S = 3600
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Use(NamedTuple):
    """What a credential is for: one call of an app, by itself or for the person whose consent it names."""

    caller: Caller
    connector: Json
    scopes: tuple[str, ...]
    consent: str = ""


class Credential(NamedTuple):
    """What goes onto the request, and what must not come back in its answer."""

    headers: dict[str, str]
    hidden: tuple[str, ...]
    key: ProofKey | None = None
    """Of a bound token (RFC 9449)."""
    certificate: ClientCertificate | None = None
    """Of a connection that a token is bound to (RFC 8705), or that the vendor knows us by."""

    def headers_for(self, method: str, url: str, nonce: str = "") -> dict[str, str]:
        """The headers of one request; a proof is good for this one alone."""
        if self.key is None:
            return self.headers
        token = self.headers["Authorization"].partition(" ")[2]
        return {**self.headers, "DPoP": self.key.proof(method, url, token=token, nonce=nonce)}

    def __repr__(self) -> str:
        return "Credential(***)"


class Issuers(NamedTuple):
    """What some schemes need beside the store of secrets."""

    grants: Grants
    app_tokens: AppTokens


class Credentials:
    """Credentials of all connectors; belongs to one event loop, like its sender."""

    def __init__(
        self, secrets: Secrets, sender: Sender, issuers: Issuers, clock: Callable[[], float] = time.time
    ) -> None:
        self._secrets = secrets
        self._vendor = Vendor(sender, clock)
        self._issuers = issuers
        self._clock = clock
        self._bought: dict[tuple[str, int, str, str], tuple[str, float]] = {}

    def fact(self, tenant: str, connector: Json, now: str) -> Json:
        """Fact `credential`. Raises DependencyError where the store cannot say."""
        names = [] if _scheme(connector) in {"none", "token_exchange"} else [f"{tenant}/{connector['name']}"]
        if is_mutual(connector):
            names.append(handle_of(tenant, connector))
        known = [self._secrets.about(name) for name in names]
        ages = [age_days(about, now) for about in known if about is not None]
        if len(ages) < len(names):
            return {"known": False}
        return {"known": True, "age_days": max(ages)} if ages else {"known": True}

    def consent_fact(self, consent_id: str) -> Json:
        """Fact `consent`, as it is now. Raises DependencyError where the store cannot say."""
        found = self._issuers.grants.consents.get(consent_id)
        return {"known": False} if found is None else found.fact

    def close(self) -> None:
        """Give back what the store of secrets only lent."""
        self._secrets.close()

    async def settled(self) -> None:
        """Return once no token is being renewed any longer."""
        await self._issuers.grants.settled()

    async def of(self, use: Use) -> Credential:
        """The credential for one call. Raises NotFound, DependencyError or SendFailed."""
        certificate = await certificate_of(self._secrets, use.caller.tenant, use.connector)
        return (await self._shown(use, certificate))._replace(certificate=certificate)

    async def _shown(self, use: Use, certificate: ClientCertificate | None) -> Credential:
        scheme, auth = _scheme(use.connector), use.connector.get("auth", {})
        if scheme == "none":
            return Credential({}, ())
        if scheme == "person":
            return await self._of_person(use)
        if scheme == "token_exchange":
            return await self._exchanged(use, auth, certificate)
        name = f"{use.caller.tenant}/{use.connector['name']}"
        value = (await asyncio.to_thread(self._secrets.get, name)).reveal()
        if scheme == "header":
            return Credential({str(auth["name"]): value}, (value,))
        if scheme == "basic":
            encoded = base64.b64encode(value.encode()).decode()
            return Credential({"Authorization": f"Basic {encoded}"}, (value, encoded, value.partition(":")[2]))
        if scheme == "client_credentials":
            about = await asyncio.to_thread(self._secrets.about, name)
            version = about.version if about is not None else 0
            form = {"grant_type": "client_credentials"}
            client = Client.read(value, certificate)
            value = await self._token((name, version), str(auth["token_url"]), client, form, use.scopes)
        return Credential({"Authorization": f"Bearer {value}"}, (value,))

    async def _of_person(self, use: Use) -> Credential:
        if not use.consent:
            raise NotFound("the call names no person's consent")
        held = await self._issuers.grants.held(use.consent, use.connector)
        key = ProofKey(held.key, self._clock) if held.key is not None else None
        tokens = held.tokens
        hidden = (tokens.access, *([tokens.refresh] if tokens.refresh else []))
        return Credential({"Authorization": f"{tokens.kind} {tokens.access}"}, hidden, key)

    async def _exchanged(self, use: Use, auth: Json, certificate: ClientCertificate | None) -> Credential:
        """A token of the vendor's for a token of ours that is good at its authorization server alone, for a minute."""
        form = {
            "grant_type": _EXCHANGE, "subject_token_type": JWT, "requested_token_type": ACCESS_TOKEN,
            "subject_token": self._issuers.app_tokens.issue(use.caller, 60, str(auth["audience"])),
            "audience": str(auth["audience"]),
        }  # fmt: skip
        name = f"{use.caller.tenant}/{use.connector['name']} {use.caller.actor}"
        client = Client("", "", certificate)
        value = await self._token((name, 0), str(auth["token_url"]), client, form, use.scopes)
        return Credential({"Authorization": f"Bearer {value}"}, (value,))

    async def _token(
        self, name: tuple[str, int], url: str, client: Client, form: dict[str, str], scopes: tuple[str, ...]
    ) -> str:
        scope = " ".join(sorted(scopes))
        # A token that is bound to another certificate would be refused.
        key = *name, scope, client.certificate.thumbprint if client.certificate else ""
        token, ends = self._bought.get(key, ("", 0.0))
        if token and self._clock() < ends:
            return token
        bought = await self._vendor.tokens(url, client, {**form, "scope": scope}, scopes)
        self._bought[key] = bought.access, min(bought.ends, self._clock() + _LONGEST_S) - _EARLY_S
        return bought.access


def _scheme(connector: Json) -> str:
    return str(connector.get("auth", {}).get("scheme", "bearer"))
