"""Proofs of possession (DPoP, RFC 9449): a token that was bound to a key is worth nothing to whoever has only the token."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwk import ECKey

_ALGORITHM = "ES256"


class ProofKey:
    """A key pair (P-256) that signs one proof for each request; `kept` is what makes it again, and a secret."""

    def __init__(self, jwk: dict[str, Any], clock: Callable[[], float] = time.time) -> None:
        from joserfc.jwk import ECKey

        self._key: ECKey = ECKey.import_key(jwk)
        self._clock = clock

    @staticmethod
    def made() -> dict[str, Any]:
        """A new private key, as a JWK."""
        from joserfc.jwk import ECKey

        return dict(ECKey.generate_key("P-256", private=True).as_dict(private=True))

    def proof(self, method: str, url: str, *, token: str = "", nonce: str = "") -> str:
        """The header for one request; `token` where one is presented, `nonce` where the server asked for one."""
        from joserfc import jwt

        parts = urlsplit(url)
        claims = {
            "jti": os.urandom(16).hex(), "htm": method, "htu": f"{parts.scheme}://{parts.netloc}{parts.path or '/'}",
            "iat": int(self._clock()),
        }  # fmt: skip
        if token:
            claims["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")
        if nonce:
            claims["nonce"] = nonce
        header = {"typ": "dpop+jwt", "alg": _ALGORITHM, "jwk": self._key.as_dict(private=False)}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])

    def __repr__(self) -> str:
        return "ProofKey(***)"
