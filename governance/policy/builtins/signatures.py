"""What OPA's builtins take: names and argument types as OPA 1.22 publishes them in its capabilities."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple


class Signature(NamedTuple):
    """One builtin."""

    args: tuple[str, ...]
    """`string`, `number`, `set`, `array[string]`, `any`; alternatives with `|`."""
    is_deterministic: bool
    is_deprecated: bool
    is_variadic: bool


@cache
def signatures() -> dict[str, Signature]:
    """Every builtin by name, infix operators included under their function names (`plus`, `eq`)."""
    from importlib.resources import files

    raw = json.loads(files(__package__).joinpath("signatures.json").read_text("utf-8"))
    return {
        name: Signature(
            tuple(row["args"]),
            "nondeterministic" not in row or name in _ONLY_READS_ITS_ARGUMENTS,
            "deprecated" in row,
            "variadic" in row,
        )
        for name, row in raw.items()
    }


# OPA marks these since they may fetch a schema or read the clock; ours do neither unless told to.
_ONLY_READS_ITS_ARGUMENTS = frozenset({"json.match_schema", "json.verify_schema", "io.jwt.decode_verify"})
