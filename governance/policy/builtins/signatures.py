"""What OPA's builtins take and give: names and types as OPA 1.22 publishes them in its capabilities.

`signatures.json` holds one row a builtin. Types are `string`, `number`, `boolean`, `null`, `object`, `any`,
`array`, `set`, with members in brackets (`array[string]`, two levels at most) and alternatives behind `|`.
`"engine": "missing"` marks what the pinned engine (regorus 0.13) does not have; a test probes the engine for each.
"""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple


class Signature(NamedTuple):
    """One builtin."""

    args: tuple[str, ...]
    """Types of the arguments, in the notation above."""
    result: str
    """Type of the result; empty where there is none (`print`)."""
    infix: str
    """The operator it is written as, empty for most."""
    is_deterministic: bool
    is_deprecated: bool
    is_variadic: bool
    is_native: bool
    """Whether the engine has it, rightly or wrongly."""


@cache
def signatures() -> dict[str, Signature]:
    """Every builtin by name, infix operators included under their function names (`plus`, `eq`)."""
    from importlib.resources import files

    raw = json.loads(files(__package__).joinpath("signatures.json").read_text("utf-8"))
    return {
        name: Signature(
            args=tuple(row["args"]),
            result=row.get("result", ""),
            infix=row.get("infix", ""),
            is_deterministic="nondeterministic" not in row or name in _ONLY_READS_ITS_ARGUMENTS,
            is_deprecated="deprecated" in row,
            is_variadic="variadic" in row,
            is_native="engine" not in row,
        )
        for name, row in raw.items()
    }


# OPA marks these since they may fetch a schema or read the clock; ours do neither unless told to.
_ONLY_READS_ITS_ARGUMENTS = frozenset({"json.match_schema", "json.verify_schema", "io.jwt.decode_verify"})
