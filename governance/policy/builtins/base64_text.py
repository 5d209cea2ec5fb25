"""Base64 as Go's encoding/base64 reads it: line breaks are skipped, anything else outside the alphabet is an error."""

from __future__ import annotations

import binascii
import re

from governance.policy.builtins.operands import BuiltinError

_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def decode_standard(text: str) -> bytes:
    """Bytes of padded standard Base64; raises BuiltinError."""
    return _decoded(_STANDARD, text.replace("\r", "").replace("\n", ""))


def decode_url(text: str) -> bytes:
    """Bytes of URL-safe Base64, with or without padding; raises BuiltinError."""
    if not text.endswith("="):
        missing = -len(text) % 4
        if missing == 3:
            raise BuiltinError("illegal base64url string")
        text += "=" * missing
    return _decoded(_URL, text.replace("\r", "").replace("\n", "")) if text else b""


def _decoded(alphabet: re.Pattern[str], text: str) -> bytes:
    if not alphabet.fullmatch(text) or len(text) % 4:
        raise BuiltinError("illegal base64 data")
    try:
        return binascii.a2b_base64(text.replace("-", "+").replace("_", "/"))
    except binascii.Error:
        raise BuiltinError("illegal base64 data") from None


def encode_url(raw: bytes) -> str:
    """URL-safe Base64 without padding."""
    return binascii.b2a_base64(raw, newline=False).decode().translate(_TO_URL)


_TO_URL = str.maketrans({"+": "-", "/": "_", "=": None})
