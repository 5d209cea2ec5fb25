"""One proof as a text of its own: that a record is in a log, or that a log only grew since a checkpoint that somebody kept.

The first is a C2SP tlog-proof (https://c2sp.org/tlog-proof) whose extra data is the record, so that nothing else is needed
to check it. The second is what C2SP tlog-witness submits (`old SIZE`, hashes, checkpoint). Standard library only: auditors
run this.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple

from audit.cosignature import check_cosigned
from audit.errors import BadPackage
from audit.notes import BadNote, Checkpoint, opened, parse_checkpoint, parse_verifier_key
from audit.tree import is_consistent, leaf_hash, root_from_inclusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.notes import VerifierKey

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_OLD = "old "
MOST_PROOF_BYTES = 1 << 20
_MOST_PROOF_LINES = 63
_SHOWN = ("kind", "effect", "app", "tenant", "actor", "decision_id")


class Inclusion(NamedTuple):
    """A record is in the tree of a checkpoint."""

    at: int
    """The record's index."""
    leaf: bytes
    hashes: tuple[bytes, ...]
    note: str
    """The checkpoint, with whoever signed it."""

    def text(self) -> str:
        """As a tlog-proof."""
        extra = base64.b64encode(self.leaf).decode()
        return f"{_FIRST_LINE}\nextra {extra}\nindex {self.at}\n{_proof_lines(self.hashes)}\n{self.note}"


class Growth(NamedTuple):
    """A tree of `old` records is a prefix of that of a checkpoint."""

    old: int
    hashes: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """As a witness gets it."""
        return f"{_OLD}{self.old}\n{_proof_lines(self.hashes)}\n{self.note}"


class Trusted(NamedTuple):
    """What the auditor brings; empty members trust what a package says."""

    key: str = ""
    pinned: str = ""
    """Text of an older checkpoint."""
    witnesses: tuple[str, ...] = ()


def looks_like_proof(raw: bytes) -> bool:
    """Whether a file begins as one of the two does."""
    return raw.startswith((_FIRST_LINE.encode() + b"\n", _OLD.encode()))


def parse_inclusion(text: str) -> Inclusion:
    """Read a tlog-proof that carries its record; raises ValueError."""
    head, separator, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not separator or first != _FIRST_LINE or len(lines) < 2 or not lines[0].startswith("extra "):
        raise ValueError(
            f"`{_FIRST_LINE}`, `extra RECORD`, `index N`, hashes, an empty line and a checkpoint are expected"
        )
    leaf = base64.b64decode(lines[0].removeprefix("extra "), validate=True)
    return Inclusion(_proof_number(lines[1], "index "), leaf, _proof_hashes(lines[2:]), note)


def parse_growth(text: str) -> Growth:
    """Read `old SIZE`, hashes, an empty line, a checkpoint; raises ValueError."""
    head, separator, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not separator:
        raise ValueError("`old SIZE`, proof lines, an empty line and a checkpoint are expected")
    return Growth(_proof_number(first, _OLD), _proof_hashes(lines), note)


def check_proof(raw: bytes, trusted: Trusted, decision: str = "") -> str:
    """What a proof shows, in words; raises BadPackage naming what is wrong with it.

    `decision`: the id of the one that it has to be of; empty for any.
    """
    if not trusted.key:
        raise BadPackage("a proof is signed by nobody but the log: say with --key which key you were given")
    try:
        text = raw.decode()
        proof = parse_growth(text) if text.startswith(_OLD) else parse_inclusion(text)
        if proof.text() != text:
            raise BadPackage("the proof: not spelled as the format has it, though it says the same")
        key = parse_verifier_key(trusted.key)
        checkpoint = parse_checkpoint(opened(proof.note, key))
        check_cosigned(proof.note, trusted.witnesses)
    except ValueError as error:
        raise BadPackage(f"the proof: {error}") from error
    if checkpoint.origin != key.name:
        raise BadPackage(f"the proof is of the log {checkpoint.origin!r}, not {key.name!r}")
    pinned = _kept(trusted.pinned, key)
    if isinstance(proof, Inclusion):
        return _included(proof, checkpoint, pinned, decision)
    if decision:
        raise BadPackage(f"that a log grew says nothing of the decision {decision[:60]!r}")
    return _grown(proof, checkpoint, pinned)


def _included(proof: Inclusion, checkpoint: Checkpoint, pinned: Checkpoint | None, decision: str) -> str:
    if pinned is not None and pinned != checkpoint:
        raise BadPackage(
            "the proof's checkpoint is another one than yours, and an inclusion proof does not show that the log continues "
            f"yours: ask for one in the tree of {pinned.size}, or for one that the log grew from it"
        )
    try:
        root = root_from_inclusion(proof.at, checkpoint.size, leaf_hash(proof.leaf), proof.hashes)
    except ValueError as error:
        raise BadPackage(f"the proof: {error}") from error
    if root != checkpoint.root:
        raise BadPackage(
            f"record {proof.at} is not in this log: it or its proof was changed, or they are of another log"
        )
    try:
        said = json.loads(proof.leaf.decode("utf-8", "surrogatepass"))
        public = {**said["public"], "kind": said["kind"]}
        is_its_own = said["index"] == proof.at
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadPackage(f"record {proof.at} is not of the form a record has") from error
    if not is_its_own:
        raise BadPackage(f"record {proof.at} says that it is {str(said['index'])[:20]}")
    if decision and public.get("decision_id") != decision:
        raise BadPackage(f"record {proof.at} is not of the decision {decision[:60]!r}")
    what = ", ".join(f"{name} {str(public[name])[:80]}" for name in _SHOWN if public.get(name))
    return f"record {proof.at} ({what}) is in the log {checkpoint.origin!r} of {checkpoint.size}, unchanged"


def _grown(proof: Growth, checkpoint: Checkpoint, pinned: Checkpoint | None) -> str:
    if pinned is None:
        raise BadPackage("that a log grew is shown of a checkpoint that you kept: bring it with --pinned")
    if pinned.size != proof.old:
        raise BadPackage(
            f"the proof begins at {proof.old} records, your checkpoint is of {pinned.size}: ask for one from it"
        )
    if not is_consistent(proof.old, checkpoint.size, pinned.root, checkpoint.root, proof.hashes):
        raise BadPackage(
            f"this log of {checkpoint.size} does not continue your checkpoint of {pinned.size}: its first records are others, "
            "or the proof was changed"
        )
    return f"the log {checkpoint.origin!r} of {checkpoint.size} continues your checkpoint of {pinned.size}"


def _kept(text: str, key: VerifierKey) -> Checkpoint | None:
    try:
        return parse_checkpoint(opened(text, key)) if text else None
    except BadNote as error:
        raise BadPackage(f"the pinned checkpoint: {error}") from error


def _proof_number(line: str, word: str) -> int:
    digits = line.removeprefix(word)
    if digits == line or not digits.isascii() or not digits.isdigit() or str(int(digits[:20])) != digits:
        raise ValueError(f"`{word}NUMBER` is expected")
    return int(digits)


def _proof_lines(hashes: Sequence[bytes]) -> str:
    return "".join(base64.b64encode(one).decode() + "\n" for one in hashes)


def _proof_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > _MOST_PROOF_LINES:
        raise ValueError(f"more than {_MOST_PROOF_LINES} proof lines")
    hashes = tuple(base64.b64decode(line, validate=True) for line in lines)
    if any(len(one) != 32 for one in hashes):
        raise ValueError("a proof line is not a hash")
    return hashes
