"""What a log says of the records that it no longer has: how far each app's numbering had come when they went.

A `prune` record names the apps with the last number that is gone. An export whose first record of an app is not number 1
carries those records with their inclusion proofs, so that a beginning that was pruned and one that was left out differ.
Standard library only: auditors run this.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from audit.errors import BadPackage
from audit.packages import MANIFEST, PRUNED, Checked, Manifest, Package
from audit.tree import leaf_hash, root_from_inclusion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from audit.notes import Checkpoint

# Of one record: well below what a leaf may hold.
_MOST_TEXT = 40_000


def in_parts(sequences: Mapping[str, int]) -> list[dict[str, int]]:
    """App to its last number that is gone, in parts of which each fits a record; one empty part where there is none."""
    parts: list[dict[str, int]] = [{}]
    length = 0
    for app, number in sorted(sequences.items()):
        size = len(json.dumps(app)) + 12
        if length + size > _MOST_TEXT and parts[-1]:
            parts.append({})
            length = 0
        parts[-1][app] = number
        length += size
    return parts


def statements(leaves: Iterable[bytes], pruned: Mapping[str, int]) -> list[tuple[int, bytes]]:
    """(index, leaf) of the `prune` records, given oldest first, of which the newest about each app is one."""
    newest: dict[str, tuple[int, bytes]] = {}
    for leaf in leaves:
        said = json.loads(leaf)
        newest.update(dict.fromkeys(pruned.keys() & said["public"].get("sequences", {}).keys(), (said["index"], leaf)))
    return sorted(set(newest.values()))


def statement_lines(found: Sequence[tuple[int, bytes]], proof: Callable[[int], list[bytes]]) -> bytes:
    """The file of a package that holds them; `proof` gives the inclusion proof of an index."""
    lines = [
        {"index": index, "leaf": leaf.decode("utf-8", "surrogatepass"), "proof": [one.hex() for one in proof(index)]}
        for index, leaf in found
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def check_pruned(package: Package, manifest: Manifest, checkpoint: Checkpoint) -> None:
    """Raises BadPackage unless records of the log say what the manifest says was pruned."""
    if not manifest.pruned:
        return
    stated: dict[str, Any] = {}
    if PRUNED in manifest.files:
        with Checked(package, PRUNED, manifest.files[PRUNED]) as file:
            for number, line in enumerate(file.lines(), 1):
                stated.update(_stated(line, checkpoint, f"{PRUNED}:{number}"))
            file.finish()
    for app, gone in manifest.pruned.items():
        if stated.get(app) != gone:
            said = stated.get(app, "none")
            raise BadPackage(
                f"{MANIFEST}: begins behind {gone} records of app {app[:60]!r} that were pruned, but the log says of "
                f"{str(said)[:20]} that they were: records are missing"
            )


def _stated(line: bytes, checkpoint: Checkpoint, where: str) -> dict[str, Any]:
    """What one record says, once it is proved to be in the log."""
    try:
        body = json.loads(line)
        index, raw = body["index"], body["leaf"].encode("utf-8", "surrogatepass")
        root = root_from_inclusion(
            index, checkpoint.size, leaf_hash(raw), [bytes.fromhex(one) for one in body["proof"]]
        )
        leaf = json.loads(raw)
        said, kind, place = leaf["public"]["sequences"], leaf["kind"], leaf["index"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadPackage(f"{where}: not a record that says what was pruned, with its proof") from error
    if root != checkpoint.root or place != index:
        raise BadPackage(f"{where}: this record is not in the log")
    if kind != "prune" or not isinstance(said, dict):
        raise BadPackage(f"{where}: record {index} does not say what was pruned")
    return said
