"""A micro-app in Python: answers with what it was told last time, and remembers what it is told now.

    pip install componentize-py
    componentize-py -d runtime_adapters/wit -w app componentize app -o app.wasm

`wit_world` is written by that tool out of the world. There is a clock and there are random bytes (`secrets`; `random` repeats
itself, since it is seeded while the component is made), and what is printed is log; with `--stub-wasi` there is none of that.
"""

# ruff: noqa: INP001  a program of its own, and no part of this package
# mypy: ignore-errors
import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import kv


class WitWorld(wit_world.WitWorld):
    """The world's exports."""

    def handle(self, request: str) -> str:
        """Answer a call."""
        try:
            before = kv.get("told")
            kv.put("told", json.dumps(request))
        except Err as refused:
            wit_world.log(f"{refused.value.code}: {refused.value.message}")
            return json.dumps({"error": refused.value.code})
        return before
