"""Credentials in HashiCorp Vault or OpenBao: KV version 2, and credentials that an engine of it makes for a while (leases).

The same port as the embedded store. Values lie under `<mount>/<prefix>/<tenant>/<handle>` as `{"value": …}`; names that
`GOVERNANCE_VAULT_DYNAMIC` maps to a path are leased there, renewed while they are used, and revoked at the end. Nothing is
kept but the leases and our own token: a value that was changed or revoked in the vault is so at the next call. A vault that
cannot be reached, is sealed or says no is a DependencyError: the call does not go out.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from governance.errors import CallerError, DependencyError, NotFound
from governance.model.moment import utc_now
from governance.platform.broker.secrets import About, Secret, check_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

METHODS = ("approle", "kubernetes", "jwt", "token")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TIMEOUT_S = 5.0
# A token or a lease is renewed once this share of its life is over.
_RENEW_AT = 2 / 3
_LARGEST_ANSWER = 1 << 20


class Place(NamedTuple):
    """Where the vault is, and who the broker is there."""

    url: str
    mount: str
    prefix: str
    method: str
    """One of `METHODS`; its mount is `auth_mount`."""
    role: str
    """Role; for AppRole the role id."""
    credential: Path
    """File with the secret id, the JWT or the token; read at each login, since Kubernetes replaces it."""
    auth_mount: str = ""
    namespace: str = ""
    ca_file: str = ""


class _Lease(NamedTuple):
    id: str
    secret: Secret
    since: float
    lives_s: float
    rotated: str
    is_renewable: bool

    def is_fresh(self, now: float) -> bool:
        return now < self.since + self.lives_s * _RENEW_AT


class VaultSecrets:
    """Safe to use from several threads. Raises CallerError at once for an address without TLS that is not this machine's."""

    def __init__(self, place: Place, dynamic: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        parts = urlsplit(place.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise CallerError("a vault is asked over TLS", where="GOVERNANCE_VAULT_URL", hint="https://…")
        headers = {"X-Vault-Request": "true", **({"X-Vault-Namespace": place.namespace} if place.namespace else {})}
        self._client = httpx.Client(
            base_url=f"{place.url.rstrip('/')}/v1/", headers=headers, verify=_trust(place.ca_file),
            timeout=_TIMEOUT_S, trust_env=False,
        )  # fmt: skip
        self._place = place
        self._dynamic = dynamic
        self._clock = clock
        self._lock = threading.Lock()
        self._token: tuple[Secret, float] | None = None
        self._leases: dict[str, _Lease] = {}

    def about(self, name: str) -> About | None:
        """As the port says; a leased one is as old as its lease."""
        if name in self._dynamic:
            lease = self._leases.get(name)
            return About(name, 1, lease.rotated if lease is not None else utc_now())
        found = self._ask("GET", self._path("metadata", name))
        if found is None:
            return None
        version = int(found["data"]["current_version"])
        row = found["data"]["versions"].get(str(version), {})
        # A deleted version leaves its metadata behind; there is nothing to call with.
        if not row or row.get("deletion_time") or row.get("destroyed"):
            return None
        return About(name, version, str(row["created_time"]))

    def get(self, name: str) -> Secret:
        """As the port says."""
        if name in self._dynamic:
            return self._leased(name)
        found = self._ask("GET", self._path("data", name))
        value = (found or {}).get("data", {}).get("data", {}).get("value") if found is not None else None
        if not isinstance(value, str):
            raise NotFound(f"there is no secret {name}", hint="governance secret put")
        return Secret(value)

    def put(self, name: str, value: str) -> About:
        """As the port says."""
        return self._written(name, value, 0)

    def rotate(self, name: str, value: str) -> About:
        """As the port says; the old version is destroyed, not only hidden."""
        known = self.about(name)
        if known is None:
            raise NotFound(f"there is no secret {name}", hint="governance secret put")
        about = self._written(name, value, known.version)
        self._ask("POST", self._path("destroy", name), {"versions": [known.version]})
        return about

    def drop(self, name: str) -> None:
        """As the port says; every version goes."""
        self._ask("DELETE", self._path("metadata", name))

    def all(self) -> list[About]:
        """As the port says."""
        names = [f"{tenant}{handle}" for tenant in self._listed("") for handle in self._listed(tenant)]
        found = [self.about(name) for name in sorted({*names, *self._dynamic})]
        return [about for about in found if about is not None]

    def close(self) -> None:
        """Revoke what was leased, as far as the vault can be asked."""
        for name in list(self._leases):
            self._revoked(self._leases.pop(name))
        self._client.close()

    def _written(self, name: str, value: str, version: int) -> About:
        if name in self._dynamic:
            raise CallerError(f"{name} is made by the vault", hint="rotate it there")
        check_secret(name, value)
        body = {"options": {"cas": version}, "data": {"value": value}}
        try:
            found = self._ask("POST", self._path("data", name), body)
        except _Refused as error:
            if error.status == 400 and "check-and-set" in error.said:
                raise CallerError(
                    f"the secret {name} exists already, or was changed", hint="governance secret rotate"
                ) from error
            raise
        if found is None:
            raise DependencyError("the vault has no such engine", where=self._place.mount)
        return About(name, int(found["data"]["version"]), str(found["data"]["created_time"]))

    def _listed(self, folder: str) -> list[str]:
        found = self._ask("LIST", f"{self._place.mount}/metadata/{self._place.prefix}/{folder}")
        return [str(key) for key in found["data"]["keys"]] if found is not None else []

    def _leased(self, name: str) -> Secret:
        with self._lock:
            lease = self._leases.get(name)
            if lease is not None and not lease.is_fresh(self._clock()):
                lease = self._renewed(lease)
            if lease is None or not lease.is_fresh(self._clock()):
                old = self._leases.pop(name, None)
                lease = self._made(name)
                if old is not None:
                    self._revoked(old)
            self._leases[name] = lease
            return lease.secret

    def _made(self, name: str) -> _Lease:
        found = self._ask("GET", self._dynamic[name])
        data = (found or {}).get("data") or {}
        if found is None or not found.get("lease_id") or not {"username", "password"} <= set(data):
            raise DependencyError(
                f"{self._dynamic[name]} leases no user and password", where="GOVERNANCE_VAULT_DYNAMIC"
            )
        secret = Secret(f"{data['username']}:{data['password']}")
        lives_s = float(found["lease_duration"])
        return _Lease(found["lease_id"], secret, self._clock(), lives_s, utc_now(), bool(found.get("renewable")))

    def _renewed(self, lease: _Lease) -> _Lease | None:
        """The lease with a new life; None where the vault gives it none, since the longest is over or it was revoked."""
        if not lease.is_renewable:
            return None
        try:
            found = self._ask("POST", "sys/leases/renew", {"lease_id": lease.id, "increment": int(lease.lives_s)})
        except _Refused:
            return None
        if found is None:
            return None
        # Near its longest life it gets less and less; then a new one is cheaper than renewing at every call.
        lives_s = float(found["lease_duration"])
        return lease._replace(since=self._clock(), lives_s=lives_s) if lives_s * 2 > lease.lives_s else None

    def _revoked(self, lease: _Lease) -> None:
        try:
            self._ask("POST", "sys/leases/revoke", {"lease_id": lease.id})
        except DependencyError:
            return  # it ends by itself

    def _path(self, part: str, name: str) -> str:
        check_secret(name, "-")
        return f"{self._place.mount}/{part}/{self._place.prefix}/{name}"

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """What the vault answers; None for 404 and for an answer without content. Signs in, and once more if told to."""
        try:
            return self._once(method, path, body, self._signed_in())
        except _Refused as error:
            if error.status != 403:
                raise
            # Our token may have been revoked, or the vault restored from a backup.
            self._token = None
            return self._once(method, path, body, self._signed_in())

    def _signed_in(self) -> str:
        token = self._token
        if token is None or self._clock() >= token[1]:
            token = self._token = self._login()
        return token[0].reveal()

    def _login(self) -> tuple[Secret, float]:
        place = self._place
        try:
            credential = place.credential.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DependencyError("what signs in to the vault cannot be read", where=str(place.credential)) from error
        if place.method == "token":
            return Secret(credential), float("inf")
        names = ("role_id", "secret_id") if place.method == "approle" else ("role", "jwt")
        path = f"auth/{place.auth_mount or place.method}/login"
        found = self._once("POST", path, dict(zip(names, (place.role, credential), strict=True)), "")
        try:
            auth = (found or {})["auth"]
            return Secret(str(auth["client_token"])), self._clock() + float(auth["lease_duration"]) * _RENEW_AT
        except (KeyError, TypeError, ValueError) as error:
            raise DependencyError("the vault signed nobody in", where=path) from error

    def _once(self, method: str, path: str, body: Any, token: str) -> dict[str, Any] | None:
        headers = {"X-Vault-Token": token} if token else {}
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise DependencyError(
                f"the vault cannot be asked: {type(error).__name__}",
                where=self._place.url,
                hint="nothing is called meanwhile",
            ) from error
        if answer.status_code == 404 or (answer.status_code == 200 and not answer.content) or answer.status_code == 204:
            return None
        if answer.status_code != 200 or len(answer.content) > _LARGEST_ANSWER:
            raise _Refused(answer.status_code, answer.text, self._place.url)
        try:
            found = json.loads(answer.content)
        except ValueError as error:
            raise DependencyError("the vault's answer cannot be read", where=self._place.url) from error
        return found if isinstance(found, dict) else None


class _Refused(DependencyError):
    """The vault answered no. What it says stays here: it may quote what was sent."""

    def __init__(self, status: int, said: str, where: str) -> None:
        reason = {403: "it does not let the broker do this", 429: "it is overloaded", 503: "it is sealed"}.get(
            status, "it refused"
        )
        super().__init__(f"the vault: {reason} (status {status})", where=where, hint="nothing is called meanwhile")
        self.status = status
        self.said = said[:2000]


def read_dynamic(path: str) -> dict[str, str]:
    """`{"tenant/handle": "path in the vault"}` of GOVERNANCE_VAULT_DYNAMIC; raises CallerError for a file that is none."""
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise CallerError("cannot be read as JSON", where=path) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise CallerError("has to map names of secrets to paths in the vault", where=path)
    for name in found:
        check_secret(name, "-")
    return found


def _trust(ca_file: str) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
