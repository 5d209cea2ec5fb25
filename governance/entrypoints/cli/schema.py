"""`governance schema KIND`: the published JSON Schema of a manifest kind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Print one schema; without a kind, the kinds there are."""
    import argparse

    from governance.enrich.schema import SCHEMAS as FOLDER

    kinds = sorted(file.removesuffix(".json") for file in os.listdir(FOLDER) if file.endswith(".json"))
    parser = argparse.ArgumentParser("governance schema", description="JSON Schema (2020-12) of a manifest kind.")
    parser.add_argument("kind", nargs="?", choices=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--crd", action="store_true", help="as a CustomResourceDefinition for Kubernetes (YAML)")
    options = parser.parse_args(argv)
    chosen = options.kind
    if chosen is None:
        stdout.write("\n".join(kinds) + "\n")
        return 0
    with open(os.path.join(FOLDER, f"{chosen}.json"), encoding="utf-8") as file:
        text = file.read()
    stdout.write(_definition(chosen, text) if options.crd else text)
    return 0


def _definition(kind: str, text: str) -> str:
    import json

    import yaml

    from governance.entrypoints.cli.crd import crd

    return yaml.safe_dump(crd(kind, json.loads(text)), sort_keys=False, width=120)
