"""crypto.md5, crypto.sha1, crypto.sha256 and crypto.hmac.*: hex digests of UTF-8 text."""

from __future__ import annotations

import hashlib
import hmac
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _digest(algorithm: str, text: str) -> str:
    return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


def _keyed(algorithm: str, text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), algorithm).hexdigest()


def equal(left: str, right: str) -> bool:
    """Whether two MACs are the same, in time that does not depend on where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())


BUILTINS: dict[str, Callable[..., object]] = {
    "crypto.hmac.equal": equal,
    **{f"crypto.{name}": partial(_digest, name) for name in ("md5", "sha1", "sha256")},
    **{f"crypto.hmac.{name}": partial(_keyed, name) for name in ("md5", "sha1", "sha256", "sha512")},
}
