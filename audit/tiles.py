"""The log as outside C2SP clients read it: hash tiles and entry bundles by path (https://c2sp.org/tlog-tiles)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from audit.store import TILE_WIDTH

if TYPE_CHECKING:
    from audit.reader import LogReader

_PATH = re.compile(
    r"(?P<level>entries|0|[1-9]\d?)/(?P<number>(?:x\d{3}/){0,5}\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?", re.ASCII
)
_HIGHEST_LEVEL = 63
_HASH = 32


class Tile(NamedTuple):
    """One resource."""

    level: int
    """-1: an entry bundle."""
    number: int
    width: int
    """1 to 255 for a partial one, else 256."""

    @property
    def is_bundle(self) -> bool:
        """Whether it holds entries, and no hashes."""
        return self.level < 0

    def path(self) -> str:
        """Below `/tile/`."""
        level = "entries" if self.is_bundle else str(self.level)
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"{level}/{_encoded(self.number)}{partial}"


def parse_tile(path: str) -> Tile | None:
    """The resource of a path below `/tile/`; None for one that is not spelled exactly as the specification has it."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = -1 if found["level"] == "entries" else int(found["level"])
    number = int(found["number"].replace("x", "").replace("/", ""))
    tile = Tile(level, number, int(found["width"] or TILE_WIDTH))
    return tile if tile.path() == path and level <= _HIGHEST_LEVEL else None


def tile_bytes(log: LogReader, tile: Tile) -> bytes | None:
    """What is served for a resource; None where the log is not that long, or where its entries were pruned."""
    if tile.is_bundle:
        start = tile.number * TILE_WIDTH
        leaves = log.leaves(start, start + tile.width)
        return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves) if len(leaves) == tile.width else None
    hashes = log.tile(tile.level, tile.number)[: tile.width * _HASH]
    return hashes if len(hashes) == tile.width * _HASH else None


def _encoded(number: int) -> str:
    """Three digits an element, all but the last behind an x: 1234067 is x001/x234/067."""
    elements = [f"{number % 1000:03d}"]
    while number := number // 1000:
        elements.insert(0, f"x{number % 1000:03d}")
    return "/".join(elements)
