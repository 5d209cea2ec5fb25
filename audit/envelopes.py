"""Signed statements: in-toto statements in DSSE envelopes, under the log's key. Standard library only to read them.

Format: DSSE v1 (secure-systems-lab/dsse, `protocol.md`). The payload is the canonical JSON of a statement; what is signed names
its type and lengths first, so that no signature of one serves as a checkpoint's, which begins with the log's origin. A key's id
is that of its verifier key, in hex.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from audit.canonical import canonical
from audit.ed25519 import is_valid
from audit.notes import BadNote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.keys import SigningKey
    from audit.notes import VerifierKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def to_be_signed(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def signatures_of(statement: dict[str, Any], key: SigningKey) -> list[dict[str, str]]:
    """By every key that signs at present, the newest first."""
    signed = key.signatures(to_be_signed(canonical(statement)))
    return [signature(verifier.key_id.hex(), one) for verifier, one in zip(key.verifiers, signed, strict=True)]


def signature(key_id: str, raw: bytes) -> dict[str, str]:
    """One member of an envelope's `signatures`."""
    return {"keyid": key_id, "sig": base64.b64encode(raw).decode()}


def envelope(payload: bytes, signatures: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The envelope of canonical bytes."""
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": list(signatures),
    }


def opened(told: Any, keys: Iterable[VerifierKey]) -> dict[str, Any]:
    """The statement in an envelope that one of the keys signed. Raises BadNote for anything else."""
    try:
        payload = base64.b64decode(told["payload"], validate=True)
        kind = told["payloadType"]
        named = {str(one["keyid"]): base64.b64decode(one["sig"], validate=True) for one in told["signatures"]}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadNote("not a DSSE envelope: payloadType, payload and signatures are expected") from error
    if kind != PAYLOAD_TYPE:
        raise BadNote(f"an envelope of {str(kind)[:40]!r}; {PAYLOAD_TYPE} is expected")
    for key in keys:
        raw = named.get(key.key_id.hex())
        if raw is not None and is_valid(key.public, to_be_signed(payload), raw):
            return _statement(payload)
    raise BadNote("no key that is trusted signed this: it was changed, or the key is another")


def _statement(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadNote("the payload is not JSON") from error
    if not isinstance(value, dict):
        raise BadNote("the payload is not a statement")
    return value
