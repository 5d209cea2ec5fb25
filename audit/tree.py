"""Merkle tree hashes and proofs as in RFC 6962, section 2.1; standard library only, since auditors run this."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: what is needed to append and to tell the root."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """`hashes`: roots of the complete subtrees, largest first, as many as `size` has one-bits."""
        self.size = size
        self.hashes = list(hashes)

    @classmethod
    def of(cls, hashes: bytes) -> Frontier:
        """The tree over 32 byte hashes that stand one behind the other."""
        frontier = cls()
        for start in range(0, len(hashes), 32):
            frontier.append(hashes[start : start + 32])
        return frontier

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; returns every node it completes as (level, index, hash), leaves at level 0."""
        made = [(0, self.size, leaf)]
        index, level = self.size, 0
        while index & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            index >>= 1
            level += 1
            made.append((level, index, leaf))
        self.hashes.append(leaf)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Root over all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        total = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            total = node_hash(left, total)
        return total

    def copy(self) -> Frontier:
        """An independent copy."""
        return Frontier(self.size, self.hashes)


def subtree_hash(start: int, end: int, node: Callable[[int, int], bytes]) -> bytes:
    """Hash of the leaves [start, end); `node(level, index)` gives stored complete nodes."""
    width = end - start
    level = width.bit_length() - 1
    if width == 1 << level and start % width == 0:
        return node(level, start >> level)
    split = 1 << (width - 1).bit_length() - 1
    return node_hash(subtree_hash(start, start + split, node), subtree_hash(start + split, end, node))


def inclusion_proof(index: int, size: int, node: Callable[[int, int], bytes]) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    return _path(index, 0, size, node)


def _path(index: int, start: int, end: int, node: Callable[[int, int], bytes]) -> list[bytes]:
    if end - start == 1:
        return []
    split = 1 << (end - start - 1).bit_length() - 1
    if index < start + split:
        return [*_path(index, start, start + split, node), subtree_hash(start + split, end, node)]
    return [*_path(index, start + split, end, node), subtree_hash(start, start + split, node)]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that `path` leads to (RFC 9162, section 2.1.3.2); raises ValueError for a path of the wrong length."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ValueError("the proof is too short")
    return result


def consistency_proof(old: int, new: int, node: Callable[[int, int], bytes]) -> list[bytes]:
    """Proof that the tree of `old` leaves is a prefix of that of `new` (RFC 6962, section 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    return _subproof(old, 0, new, node, is_whole=True)


def _subproof(old: int, start: int, end: int, node: Callable[[int, int], bytes], *, is_whole: bool) -> list[bytes]:
    if old == end:
        return [] if is_whole else [subtree_hash(start, end, node)]
    split = 1 << (end - start - 1).bit_length() - 1
    if old <= start + split:
        return [*_subproof(old, start, start + split, node, is_whole=is_whole), subtree_hash(start + split, end, node)]
    return [*_subproof(old, start + split, end, node, is_whole=False), subtree_hash(start, start + split, node)]


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows the old tree to be a prefix of the new one (RFC 9162, section 2.1.4.2)."""
    if old == new:
        return old_root == new_root and not proof
    if not 0 < old < new or not proof:
        return False
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root
