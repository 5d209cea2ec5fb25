"""One proof for many leaves: the hashes of what lies between them, shared instead of repeated leaf by leaf.

Leaves are given in order; every gap between two of them (and the one behind the last) is cut into the largest complete
subtrees of RFC 6962's tree, left to right, and the proof is their hashes in that order. Whoever has the leaves fills the
gaps from the proof and arrives at the root. All leaves of a log need no hash at all, one leaf as many as its audit path.

A gap is also cut at `stops`: sizes at which the root of the younger tree can be read off on the way, so that the same
proof shows an older checkpoint to be a prefix of the newer one. Standard library only: auditors run this.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from audit.tree import EMPTY_ROOT, node_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_NODE = b"\x01"


def blocks(start: int, end: int, stops: Sequence[int] = ()) -> Iterator[tuple[int, int]]:
    """(level, index) of the complete subtrees that make up the leaves [start, end), cut at every stop within."""
    for stop in [*(stop for stop in stops if start < stop < end), end]:
        while start < stop:
            level = (stop - start).bit_length() - 1
            if start:
                level = min(level, (start & -start).bit_length() - 1)
            yield level, start >> level
            start += 1 << level


class Rebuilt:
    """A tree put together again from leaves and the blocks between them; remembers the roots at the `stops`."""

    def __init__(self, stops: Iterable[int] = ()) -> None:
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self._stops = frozenset(stops)
        self._edge: list[bytes] = []

    def add(self, level: int, digest: bytes) -> None:
        """The next complete subtree of 2**level leaves; the size so far has to be a multiple of that."""
        index, edge = self.size >> level, self._edge
        while index & 1:
            digest = sha256(_NODE + edge.pop() + digest).digest()  # `node_hash`, a million times
            index >>= 1
        edge.append(digest)
        self.size += 1 << level
        if self.size in self._stops:
            self.roots[self.size] = self.root()

    def root(self) -> bytes:
        """Root over everything so far."""
        if not self._edge:
            return EMPTY_ROOT
        total = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            total = node_hash(left, total)
        return total


def rebuild(
    leaves: Iterable[tuple[int, bytes]], proof: Iterator[bytes], size: int, stops: Sequence[int], wanted: Iterable[int]
) -> Rebuilt:
    """The tree of `size` from (index, leaf hash) in ascending order and the proof's hashes, with the roots at `wanted`.

    Raises ValueError for leaves out of order or outside the tree, and for a proof that is too short or too long.
    """
    tree = Rebuilt(wanted)
    for index, digest in leaves:
        if not tree.size <= index < size:
            raise ValueError(f"leaf {index} is out of order, or outside a tree of {size}")
        if tree.size != index:
            _fill(tree, index, proof, stops)
        tree.add(0, digest)
    _fill(tree, size, proof, stops)
    if next(proof, None) is not None:
        raise ValueError("the proof is too long")
    return tree


def _fill(tree: Rebuilt, end: int, proof: Iterator[bytes], stops: Sequence[int]) -> None:
    if tree.size == end:
        return
    for level, _ in blocks(tree.size, end, stops):
        digest = next(proof, b"")
        if len(digest) != 32:
            raise ValueError("the proof is too short")
        tree.add(level, digest)
