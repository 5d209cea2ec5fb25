"""The port of the state: named documents, each written whole, and read by every process of every replica.

A name is that of a file below the home, such as `keys.json` or `apps/lunch.json`. What comes from outside is checked before
it becomes part of one: no store does that again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Held = tuple[bytes | None, ...]
    """Contents of several documents, each where its name stands."""


class State(Protocol):
    """Where documents are. Each method raises DependencyError (or OSError, of a disk) where they cannot be had."""

    def pulse(self) -> object:
        """Changes with every change, where that can be told without looking; None where it cannot."""

    def stamp(self, name: str, *, newest: bool = False) -> object:
        """Changes whenever a document, or one of a folder, does; None where there is none.

        What it stands for is at most a second old; with `newest` not older than the call.
        """

    def read(self, name: str) -> bytes | None:
        """A document; None where there is none."""

    def names(self, folder: str) -> list[str]:
        """Names of the documents of a folder, sorted, without those of folders in it."""

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a document by what `edit` makes of the newest one; None removes it. Durable when it returns.

        No other change comes in between, of whichever process. What `edit` raises leaves everything as it was.
        """

    def change_together(self, names: Sequence[str], edit: Callable[[Held], Held]) -> None:
        """As `change` for several documents, in this order: a power cut in between leaves the later ones as they were."""
