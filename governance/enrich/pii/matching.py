"""The one door to RE2: patterns over bytes, one byte a character, so that no input makes a search slower than linear."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from governance.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.policy import ScanPolicy


class WorkExceeded(DependencyError):
    """The text needs more work than one request may cause; whoever asked gets no findings, which is not "nothing found"."""

    code = "scan_work_exceeded"


class Found(Protocol):
    """What a pattern matched."""

    lastindex: int | None
    """Which group took part, where they are alternatives."""

    def start(self, group: int = 0) -> int:
        """Offset of the first byte."""

    def end(self, group: int = 0) -> int:
        """Offset behind the last byte."""

    def group(self, group: int = 0) -> bytes:
        """The bytes; None for a group that did not take part."""


class Matcher(Protocol):
    """A compiled pattern."""

    def search(self, text: bytes, pos: int = 0, endpos: int | None = None) -> Found | None:
        """The first match."""

    def finditer(self, text: bytes, pos: int = 0, endpos: int | None = None) -> Iterator[Found]:
        """Every match, none overlapping another."""

    def fullmatch(self, text: bytes) -> Found | None:
        """The match of the whole text."""


def matcher(pattern: bytes, mib: int = 8) -> Matcher:
    """Compile `pattern`, in Latin-1. Bounded repetition and classes only: RE2 has neither look-around nor backreferences.

    `mib` bounds the memory of its automaton; one that needs more still answers right, tens of times slower.
    """
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = mib << 20
    compiled: Matcher = re2.compile(pattern, options)
    return compiled


class Work:
    """What one scan may still do, in units of about one character looked at by every pattern."""

    def __init__(self, units: int) -> None:
        self._left = units

    def spend(self, units: int) -> None:
        """Raise WorkExceeded where that is more than is left."""
        self._left -= units
        if self._left < 0:
            raise WorkExceeded(
                "looking for personal data takes more work than one request may cause",
                hint="send it in smaller parts, or raise `work` in rules/data/platform/scanner.yaml",
            )

    @property
    def left(self) -> int:
        """Units that are left."""
        return self._left


class Hit(NamedTuple):
    """One value that a pattern found in plain text."""

    start: int
    end: int
    entity: str
    score: float
    """From 0 to 1; 1 where the form and a check digit leave no doubt."""
    reason: str
    """`checksum`, `form`, `prefix`, `context` (a word before it) or `name` (the member's name)."""


class Surface(NamedTuple):
    """Plain text to search, and what may be spent on it."""

    data: bytes
    work: Work
    policy: ScanPolicy

    def text(self, start: int, end: int) -> str:
        """The characters between two offsets."""
        return self.data[start:end].decode("latin-1")

    def is_alphanumeric(self, place: int) -> bool:
        """Whether a letter or digit stands at `place`; False outside."""
        return 0 <= place < len(self.data) and chr(self.data[place]).isalnum()

    def before(self, place: int, count: int) -> bytes:
        """At most `count` characters before `place`, of the same value."""
        return self.data[max(0, place - count) : place].rpartition(b"\x1e")[2]

    def is_piece(self, start: int, end: int) -> bool:
        """Whether digits [start, end) are part of a longer number or word: a decimal, a hash, an identifier in letters."""
        data = self.data
        if self.is_alphanumeric(start - 1) and self.is_alphanumeric(end):
            return True
        # The digits behind a point; a comma more often stands between two values.
        fraction = (
            start >= 2 and data[start - 1] == 0x2E and 0x30 <= data[start - 2] <= 0x39 and data[start:end].isdigit()
        )
        return fraction or (end < len(data) and 0x30 <= data[end] <= 0x39)
