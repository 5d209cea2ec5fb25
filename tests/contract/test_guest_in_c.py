"""The header for apps in C: compiled where there is a compiler for WASI, and run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract.guests import remembering

SOURCE = Path(__file__).parents[2] / "runtime_adapters" / "guests" / "c" / "remembers.c"
CAPS = Caps(cpu=0.5, memory_mib=16, timeout_ms=2000, storage_mib=8)


def compiler() -> list[str] | None:
    """The command that makes a module for WASI: zig's from PyPI, or Debian's clang with wasi-libc."""
    zig = os.environ.get("ZIG")
    if zig:
        return [zig, "cc", "-target", "wasm32-wasi"]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi"]
    if shutil.which("clang") is not None and Path("/usr/lib/wasm32-wasi").is_dir():
        return ["clang", "--target=wasm32-wasi", "--sysroot=/usr"]
    return None


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="needs a compiler for WASI: pip install ziglang, or ZIG=/path/to/zig")
def test_an_app_in_c_remembers_what_it_was_told(tmp_path):
    told = 'with "quotes" and \\, grün,\n\x01'
    module = tmp_path / "app.wasm"
    command = [
        *(compiler() or []),
        "-Os",
        "-Wl,-z,stack-size=65536",
        "-Wall",
        "-Werror",
        "-o",
        str(module),
        str(SOURCE),
    ]
    subprocess.run(command, check=True)
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ())
    artifact = Artifact(str(module), hashlib.sha256(module.read_bytes()).hexdigest())
    instance = WasmAdapter(tmp_path / "code").prepare(plan, artifact).start(remembering())
    answers = [instance.call(text.encode()) for text in (told, "x" * 5000, "other")]
    assert [answer.status for answer in answers] == ["done", "exit", "done"], answers
    assert [json.loads(answers[at].output) for at in (0, 2)] == [{"ok": None}, {"ok": told}]
