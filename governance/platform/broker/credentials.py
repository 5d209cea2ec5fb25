"""Which credential a connector takes, and how it is put on a request: after the decision, where no app sees it.

The registry says how (`auth`), the store of secrets holds what, under `tenant/connector`. Schemes: `none`; `bearer`
(RFC 6750); `basic` (RFC 7617, the secret is `user:password`); `header` (the secret is the value of the named header);
`client_credentials` (RFC 6749, section 4.4: the secret is `client_id:client_secret`, and the token it buys lives here until
shortly before its end).
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

from governance.platform.broker.secrets import age_days
from governance.platform.broker.sending import SendFailed, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.request import Json
    from governance.platform.broker.secrets import Secrets
    from governance.platform.broker.sending import Sender

SCHEMES = ("none", "bearer", "basic", "header", "client_credentials")
# A token is bought anew this long before it ends.
_EARLY_S = 30
_LONGEST_S = 3600


class Credential(NamedTuple):
    """What goes onto the request, and what must not come back in its answer."""

    headers: dict[str, str]
    hidden: tuple[str, ...]

    def __repr__(self) -> str:
        return "Credential(***)"


class Credentials:
    """Credentials of all connectors; belongs to one event loop, like its sender."""

    def __init__(self, secrets: Secrets, sender: Sender, clock: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._sender = sender
        self._clock = clock
        self._bought: dict[tuple[str, int, str], tuple[str, float]] = {}

    def fact(self, tenant: str, connector: Json, now: str) -> Json:
        """Fact `credential`. Raises DependencyError where the store cannot say."""
        if _scheme(connector) == "none":
            return {"known": True}
        about = self._secrets.about(f"{tenant}/{connector['name']}")
        return {"known": False} if about is None else {"known": True, "age_days": age_days(about, now)}

    async def of(self, tenant: str, connector: Json, scopes: list[str]) -> Credential:
        """The credential for one call. Raises NotFound, DependencyError or SendFailed."""
        scheme, auth = _scheme(connector), connector.get("auth", {})
        if scheme == "none":
            return Credential({}, ())
        name = f"{tenant}/{connector['name']}"
        value = self._secrets.get(name).reveal()
        if scheme == "header":
            return Credential({str(auth["name"]): value}, (value,))
        if scheme == "basic":
            encoded = base64.b64encode(value.encode()).decode()
            return Credential({"Authorization": f"Basic {encoded}"}, (value, encoded, value.partition(":")[2]))
        if scheme == "client_credentials":
            value = await self._token(name, value, auth, scopes)
        return Credential({"Authorization": f"Bearer {value}"}, (value,))

    async def _token(self, name: str, client: str, auth: Json, scopes: list[str]) -> str:
        about = self._secrets.about(name)
        key = name, about.version if about is not None else 0, " ".join(sorted(scopes))
        token, ends = self._bought.get(key, ("", 0.0))
        if token and self._clock() < ends:
            return token
        token, lives = await self._buy(client, str(auth["token_url"]), key[2])
        self._bought[key] = token, self._clock() + max(0, min(lives, _LONGEST_S) - _EARLY_S)
        return token

    async def _buy(self, client: str, url: str, scope: str) -> tuple[str, int]:
        user, _, password = client.partition(":")
        # RFC 6749, section 2.3.1: both are form-encoded before they become Basic credentials.
        basic = base64.b64encode(f"{quote_plus(user)}:{quote_plus(password)}".encode()).decode()
        parts = urlsplit(url)
        headers = {
            "Authorization": f"Basic {basic}", "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        body = urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        answer = await self._sender.send(Sent("POST", parts.hostname or "", parts.path or "/", headers, body))
        try:
            said = json.loads(answer.body)
            token, lives = said["access_token"], int(said.get("expires_in", 300))
            is_good = answer.status == 200 and isinstance(token, str) and str(said["token_type"]).lower() == "bearer"
            granted = said.get("scope", scope).split()
        except (ValueError, KeyError, TypeError, AttributeError):
            is_good, token, lives, granted = False, "", 0, []
        if not is_good or not token.isprintable() or not token.isascii():
            raise SendFailed(
                f"{parts.hostname} gave no token (status {answer.status})", hint="is the credential right?"
            )
        if set(granted) - set(scope.split()):
            raise SendFailed(f"{parts.hostname} gave a token for more scopes than were asked for")
        return token, lives


def _scheme(connector: Json) -> str:
    return str(connector.get("auth", {}).get("scheme", "bearer"))
