"""`governance settings`: every setting, its value, and whether it is the default."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.settings import TABLE, from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Print the table; `--format json` for programs."""
    import argparse

    parser = argparse.ArgumentParser("governance settings", description="Every setting is an environment variable.")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    chosen = parser.parse_args(argv).format
    settings = from_environment(os.environ)
    rows = [
        {
            "variable": row.variable,
            "value": _shown(settings.text(row.name)),
            "source": "environment" if row.name in settings.values else "default",
            "meaning": row.meaning,
        }
        for row in TABLE
    ]
    if chosen == "json":
        import json

        stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for entry in rows:
        value = entry["value"] or "(empty)"
        stdout.write(f"{entry['variable']:<32} {value:<28} {entry['source']:<12} {entry['meaning']}\n")
    return 0


def _shown(value: str) -> str:
    """A password in a URL, where none belongs, is not repeated."""
    scheme, mark, rest = value.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{mark}{user.partition(':')[0]}:***@{place}" if at and ":" in user else value
