"""`governance version`: this program's version and the policy engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Print both versions; the engine's matters because two versions may answer differently."""
    import argparse

    argparse.ArgumentParser("governance version", description="This program's version and the engine's.").parse_args(
        argv
    )
    from importlib.metadata import version

    from governance import __version__

    stdout.write(f"governance {__version__} (regorus {version('gordon-to-regorus')})\n")
    return 0
