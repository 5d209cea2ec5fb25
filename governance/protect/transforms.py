"""What can be done to one value: each takes text and gives text that no longer says it.

- `mask`: every letter and digit a star, signs and length kept; of a card, account or telephone number the last four digits.
- `hash`: a keyed digest; equal values stay equal within a tenant, and nobody without the key can try values.
- `tokenize`: sealed under a key (AES-SIV, RFC 5297), deterministic, turned back by whoever holds the key.
- `generalize`: a date to its year, a place to about ten kilometres, an age to its decade, a postal code to its first two
  characters, an address of the network to its /24 or /48.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from typing import NamedTuple

from governance.errors import CallerError, InternalError

WHOLE = "[masked]"
METHODS = frozenset({"mask", "drop", "tokenize", "hash", "generalize"})
TOKEN, DIGEST = "tok:", "hmac:"
_LAST_FOUR = frozenset({"CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER"})
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_COMPACT_DATE = re.compile(r"((?:19|20)\d\d)\d{4}")
_DECIMAL = re.compile(r"[-+]?\d+(?:\.\d+)?")
_DATES = frozenset({"BIRTH_DATE", "DATE_OF_BIRTH"})


class Keys(NamedTuple):
    """The keys of one installation, from its home; see `protect.keys`."""

    sealing: bytes
    """64 bytes: AES-SIV with 256 bits."""
    digesting: bytes
    """32 bytes: HMAC-SHA256."""


def mask(text: str, entity: str) -> str:
    """Stars for letters and digits."""
    keep = 0
    if entity in _LAST_FOUR and sum(char.isdigit() for char in text) >= 9:
        keep = len(text) - [i for i, char in enumerate(text) if char.isalnum()][-4]
    hidden = text[: len(text) - keep]
    stars = "".join("*" if char.isalnum() or not char.isascii() else char for char in hidden)
    return ("***" if stars.count("*") < 3 else stars) + text[len(text) - keep :]


def digest(text: str, entity: str, tenant: str, keys: Keys) -> str:
    """`hmac:` and 22 characters; the kind and the tenant go in, so that equal texts of two kinds or tenants differ."""
    message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in (tenant, entity, text))
    raw = hmac.new(keys.digesting, message, hashlib.sha256).digest()[:16]
    return DIGEST + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def tokenize(text: str, entity: str, tenant: str, keys: Keys) -> str:
    """`tok:` and the sealed text; the same text of the same kind and tenant gives the same token."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    sealed = AESSIV(keys.sealing).encrypt(text.encode("utf-8", "surrogatepass"), [tenant.encode(), entity.encode()])
    return TOKEN + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def detokenize(token: str, entity: str, tenant: str, keys: Keys) -> str:
    """The text of a token. Raises CallerError for one that this key, tenant and kind did not make."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    body = token.removeprefix(TOKEN)
    try:
        sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        opened = AESSIV(keys.sealing).decrypt(sealed, [tenant.encode(), entity.encode()])
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise CallerError(
            "this is no token of this tenant, kind and key", hint="give the entity and tenant it was made for"
        ) from error
    return opened.decode("utf-8", "surrogatepass")


def generalize(text: str, entity: str) -> str:
    """A coarser value; what cannot be made coarser is masked."""
    if entity in _DATES:
        found = _YEAR.search(text) or _COMPACT_DATE.search(text)
        return found[0][:4] if found else mask(text, entity)
    if entity == "GEO_LOCATION":
        return _DECIMAL.sub(lambda number: f"{float(number[0]):.1f}", text)
    if entity == "AGE" and text.strip().isdecimal():
        decade = int(text) // 10 * 10
        return f"{decade}-{decade + 9}"
    if entity == "POSTAL_CODE" and len(text) > 2:
        return text[:2] + "".join("*" if char.isalnum() else char for char in text[2:])
    if entity == "IP_ADDRESS":
        return _network(text)
    return mask(text, entity)


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return mask(text, "IP_ADDRESS")
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def changed(text: str, method: str, entity: str, tenant: str, keys: Keys | None) -> str:
    """`text` after `method`. Raises InternalError where the method needs a key and there is none, or is not one."""
    if method == "mask":
        return mask(text, entity)
    if method == "generalize":
        return generalize(text, entity)
    if method in {"hash", "tokenize"} and keys is not None:
        return (digest if method == "hash" else tokenize)(text, entity, tenant, keys)
    raise InternalError(
        f"the obligation {method!r} cannot be carried out here",
        hint="it needs the data key of this home" if method in METHODS else f"known: {', '.join(sorted(METHODS))}",
    )
