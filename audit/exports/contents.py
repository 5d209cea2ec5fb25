"""What a package of ours holds, finished or not, without verifying it: for taking it back when somebody in it is erased."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, BinaryIO

from audit.packages import LEAVES, OPENINGS
from audit.walk import LEAF_ROW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = b'{"index":'


def opened_indexes(package: Path) -> Iterator[int]:
    """Indexes of the records whose sealed members can be read in a package: a folder, a zip, or one that was interrupted."""
    for file in _files(package, OPENINGS):
        for line in file:
            digits = line.removeprefix(_HEAD).partition(b",")[0]
            if digits.isdigit():
                yield int(digits)


def indexes(package: Path) -> Iterator[int]:
    """Indexes of all its records."""
    for file in _files(package, LEAVES):
        while len(row := file.read(LEAF_ROW)) == LEAF_ROW:
            yield int.from_bytes(row[:8], "big")


def _files(package: Path, name: str) -> Iterator[BinaryIO]:
    """The file of a name, if it is there."""
    if package.is_dir():
        if (package / name).exists():
            with (package / name).open("rb") as file:
                yield file
    elif package.exists():
        with zipfile.ZipFile(package) as archive:
            if name in archive.namelist():
                with archive.open(name) as file:
                    yield file  # type: ignore[misc]  # reads as one
