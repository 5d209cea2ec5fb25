"""The certificate of an erasure: a note that the log's key signed, for the person who asked. Standard library only.

It names no person: it holds a salted commitment, and the salt, so that who knows the name can check whose it is. The log
keeps the commitment and not the salt, so that nobody can find the name by trying.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

from audit.notes import BadNote, opened, parse_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from audit.notes import VerifierKey


_SEVERAL = ("record", "outside", "reached")


class Certificate(NamedTuple):
    """What an erasure's certificate states."""

    time: str
    commitment: str
    """HMAC-SHA-256 of the subject under `salt`, hex."""
    salt: str
    indexes: str
    """Records whose sealed members can never be read again, as `0-5,9`."""
    by: tuple[str, ...]
    """`INDEX LEAF_HASH` of each record of the erasure."""
    outside: tuple[str, ...]
    """What the erasure cannot reach, each a word and what it is."""
    reached: tuple[str, ...]
    """What went beside the log, each how many of what."""
    size: int
    """Of the log, in the checkpoint that covers them."""
    root: bytes


def commitment_to(subject: str, salt: bytes) -> str:
    """What stands for a subject, hex."""
    return hmac.digest(salt, subject.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def certificate_text(origin: str, certificate: Certificate) -> str:
    """What is signed; the first line keeps it from being taken for a checkpoint."""
    rows = [
        f"{origin}/erasure", f"time {certificate.time}", f"subject {certificate.commitment} {certificate.salt}",
        f"indexes {certificate.indexes}", *(f"record {one}" for one in certificate.by),
        *(f"reached {one}" for one in certificate.reached), *(f"outside {one}" for one in certificate.outside),
        f"log {certificate.size} {certificate.root.hex()}",
    ]  # fmt: skip
    return "\n".join(rows) + "\n"


def check_certificate(note: str, key: VerifierKey, subject: str = "") -> Certificate:
    """Read a certificate that `key` signed; raises BadNote where it did not, or where it is not about `subject`."""
    lines = opened(note, key).split("\n")
    try:
        certificate = _read(lines)
        salt = bytes.fromhex(certificate.salt)
    except (ValueError, IndexError, KeyError) as error:
        raise BadNote("not a certificate of an erasure") from error
    if lines[0] != f"{key.name}/erasure":
        raise BadNote(f"a certificate of {lines[0][:60]!r}, not of {key.name!r}")
    if subject and not hmac.compare_digest(commitment_to(subject, salt), certificate.commitment):
        raise BadNote("the certificate is about somebody else")
    return certificate


def certificate_of(
    checkpoint: str,
    key: VerifierKey,
    what: dict[str, str],
    by: Iterable[str],
    beside: Iterable[str] = (),
    reached: Iterable[str] = (),
) -> Certificate:
    """The certificate for what the log did: `what` has time, commitment, salt, indexes, exports.

    `beside`: what else may hold the person and is not of the log, as whoever asked for the erasure names it; `reached`: what
    of that they took away before.
    """
    head = parse_checkpoint(opened(checkpoint, key))
    outside = (*_outside(what["exports"]), *beside)
    said = (what["time"], what["commitment"], what["salt"], what["indexes"], tuple(by), outside, tuple(reached))
    return Certificate(*said, head.size, head.root)


def _outside(exports: str) -> Iterator[str]:
    if exports:
        yield f"exports {exports}: packages of these records of the log that were handed out before"
    yield (
        "copies of the database, its write-ahead log or its disk that others keep: they hold what was sealed as ciphertext, "
        "readable with the log's key of their time, by nobody once that key was changed and destroyed"
    )
    yield "members that are not sealed: kind, time, app, tenant, actor, effect, rules"


def _read(lines: list[str]) -> Certificate:
    rows = [line.partition(" ") for line in lines[1:] if line]
    one = {word: rest for word, _, rest in rows if word not in _SEVERAL}
    commitment, salt = one["subject"].split(" ")
    size, root = one["log"].split(" ")
    by, outside, reached = (tuple(rest for word, _, rest in rows if word == wanted) for wanted in _SEVERAL)
    said = (one["time"], commitment, salt, one["indexes"], by, outside, reached)
    return Certificate(*said, int(size), bytes.fromhex(root))
