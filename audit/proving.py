"""Making single proofs: each is checked against the log's own signed head before it leaves, since a disk may lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.errors import BadQuestion, LogRolledBack, LogTorn, NothingThere
from audit.notes import BadNote, Checkpoint, opened, opened_by_any, parse_checkpoint
from audit.proofs import Growth, Inclusion
from audit.tree import is_consistent, leaf_hash, root_from_inclusion

if TYPE_CHECKING:
    from audit.reader import LogReader


def prove_inclusion(log: LogReader, index: int, size: int = 0) -> Inclusion:
    """That a record is in the tree of `size` records; 0: the newest that enough witnesses cosigned, or else the newest.

    Raises NothingThere, BadQuestion, LogTorn.
    """
    try:
        leaf = log.leaf(index)
    except KeyError as error:
        raise NothingThere(f"there is no record {index}, or it was pruned") from error
    note, checkpoint = _checkpoint(log, index + 1, size)
    hashes = tuple(log.proof(index, checkpoint.size))
    if root_from_inclusion(index, checkpoint.size, leaf_hash(leaf), hashes) != checkpoint.root:
        raise LogTorn(f"record {index} or the hashes above it were changed: `governance audit check` says where")
    return Inclusion(index, leaf, hashes, note)


def prove_growth(log: LogReader, old: int, size: int = 0) -> Growth:
    """That the tree of the first `old` records is a prefix of that of `size`; 0 as for an inclusion.

    Raises BadQuestion, LogTorn.
    """
    if old < 1:
        raise BadQuestion("a log grows from one record at least")
    note, checkpoint = _checkpoint(log, old, size)
    return Growth(old, _grown(log, old, checkpoint), note)


def continued(log: LogReader, note: str) -> Checkpoint:
    """A checkpoint that somebody kept, which the log continues.

    Raises BadQuestion for one that this log did not sign, LogRolledBack where the log is not its continuation, LogTorn.
    """
    try:
        kept = parse_checkpoint(opened_by_any(note, log.keys()))
    except BadNote as error:
        raise BadQuestion(f"the pinned checkpoint is not one of this log: {error}") from error
    size = log.size()
    if kept.size > size:
        raise LogRolledBack(f"the pinned checkpoint is of {kept.size} records, the log has {size}: its end was lost")
    if log.root(kept.size) != kept.root:
        raise LogRolledBack(
            f"the log's first {kept.size} records are not those of the pinned checkpoint: history was rewritten"
        )
    return kept


def _checkpoint(log: LogReader, least: int, size: int) -> tuple[str, Checkpoint]:
    """A signed checkpoint of `size` that covers the first `least` records."""
    newest = log.checkpoint()
    head = parse_checkpoint(opened_by_any(newest, log.signing_key.verifiers))
    cosigned = log.cosigned()
    seen = _seen(log, cosigned)
    if seen is not None and least <= seen.size <= head.size and size in {0, seen.size}:
        return cosigned, seen
    size = size or head.size
    if not least <= size <= head.size:
        raise BadQuestion(f"a tree of {size} is asked for; {least} records are needed, and the log has {head.size}")
    if size == head.size:
        return newest, head
    checkpoint = Checkpoint(head.origin, size, log.root(size))
    _grown(log, size, head, checkpoint.root)
    return log.signing_key.checkpoint(size, checkpoint.root), checkpoint


def _seen(log: LogReader, cosigned: str) -> Checkpoint | None:
    """What witnesses cosigned; None where they did not, or not yet since the log's key was changed."""
    try:
        return parse_checkpoint(opened(cosigned, log.signing_key.verifier))
    except BadNote:
        return None


def _grown(log: LogReader, old: int, checkpoint: Checkpoint, root: bytes = b"") -> tuple[bytes, ...]:
    """The proof from `old` to a checkpoint, which holds; raises LogTorn."""
    hashes = tuple(log.consistency(old, checkpoint.size))
    if not is_consistent(old, checkpoint.size, root or log.root(old), checkpoint.root, hashes):
        raise LogTorn("the stored hashes do not lead to the log's root: `governance audit check` says where")
    return hashes
