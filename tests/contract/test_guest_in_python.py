"""The app in Python that one starts from: made a component where the tool is there, and run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract.guests import remembering

ROOM = Path(__file__).parents[2] / "runtime_adapters"
CAPS = Caps(cpu=1, memory_mib=128, timeout_ms=10_000, storage_mib=8)
TOOL = os.environ.get("COMPONENTIZE_PY") or shutil.which("componentize-py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TOOL is None, reason="needs componentize-py: pip install it, or COMPONENTIZE_PY=/path/to/it"),
]


def made(folder: Path, *options: str) -> tuple[RuntimePlan, Artifact]:
    """The template as a component."""
    shutil.copy(ROOM / "guests" / "python" / "app.py", folder)
    path = folder / "app.wasm"
    command = [str(TOOL), "-d", str(ROOM / "wit"), "-w", "app", "componentize", *options, "app", "-o", str(path)]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ())
    return plan, Artifact(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_an_app_in_python_remembers_what_it_was_told(tmp_path):
    told = 'with "quotes" and \\, grün,\n\x01'
    instance = WasmAdapter(tmp_path / "code").prepare(*made(tmp_path, "--stub-wasi")).start(remembering())
    answers = [instance.call(text.encode()) for text in (told, "other")]
    assert [answer.status for answer in answers] == ["done", "done"], answers
    assert [json.loads(answer.output) for answer in answers] == [None, told]


def test_one_that_was_made_with_wasi_is_refused_by_name(tmp_path):
    with pytest.raises(BadArtifact, match=r"imports wasi:"):
        WasmAdapter(tmp_path / "code").prepare(*made(tmp_path))
