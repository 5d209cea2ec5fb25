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
from runtime_adapters.port import Artifact
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract.guests import remembering

ROOM = Path(__file__).parents[2] / "runtime_adapters"
CAPS = Caps(cpu=1, memory_mib=128, timeout_ms=10_000, storage_mib=8)
TOOL = os.environ.get("COMPONENTIZE_PY") or shutil.which("componentize-py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TOOL is None, reason="needs componentize-py: pip install it, or COMPONENTIZE_PY=/path/to/it"),
]


def made(folder: Path, *options: str, app: str = "") -> tuple[RuntimePlan, Artifact]:
    """The template as a component, or `app`."""
    text = app or (ROOM / "guests" / "python" / "app.py").read_text()
    (folder / "app.py").write_text(text)
    path = folder / "app.wasm"
    command = [str(TOOL), "-d", str(ROOM / "wit"), "-w", "app", "componentize", *options, "app", "-o", str(path)]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ())
    return plan, Artifact(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("options", [(), ("--stub-wasi",)], ids=["as it comes", "without WASI"])
def test_an_app_in_python_remembers_what_it_was_told(tmp_path, options):
    told = 'with "quotes" and \\, grün,\n\x01'
    instance = WasmAdapter(tmp_path / "code").prepare(*made(tmp_path, *options)).start(remembering())
    answers = [instance.call(text.encode()) for text in (told, "other")]
    assert [answer.status for answer in answers] == ["done", "done"], answers
    assert [json.loads(answer.output) for answer in answers] == [None, told]


TRIES = """
import json, os, random, socket, sys, time
import wit_world
class WitWorld(wit_world.WitWorld):
    def handle(self, request):
        try:
            return json.dumps(getattr(self, request)())
        except OSError as error:
            return json.dumps(str(error))
    def chance(self):
        return os.urandom(8).hex()
    def say(self):
        print("said", end=" ", flush=True)
        print("aloud", file=sys.stderr)
    def nap(self):
        begun = time.monotonic()
        time.sleep(0.1)
        return time.monotonic() - begun >= 0.1
    def sleep(self):
        time.sleep(3600)
    def surroundings(self):
        return [dict(os.environ), sys.argv, sys.stdin.read()]
    def file(self):
        return open("/etc/passwd").read()
    def folder(self):
        return os.listdir("/")
    def connect(self):
        return socket.create_connection(("127.0.0.1", 80)).recv(1)
    def leave(self):
        os._exit(0)
"""


def test_an_app_in_python_finds_a_clock_and_chance_and_nothing_of_this_host(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "of this host")
    plan, artifact = made(tmp_path, app=TRIES)
    adapter = WasmAdapter(tmp_path / "code", lambda _text: ())
    instance = adapter.prepare(plan, artifact).start(remembering())

    def heard(what: str):
        outcome = instance.call(what.encode())
        assert outcome.status == "done", outcome
        return json.loads(outcome.output)

    assert heard("chance") != heard("chance")
    assert heard("nap") is True
    assert heard("surroundings") == [{}, [], ""]
    assert "No such file" in heard("file")
    assert "No such file" in heard("folder")
    assert instance.call(b"say").log == "said aloud\n"
    assert instance.call(b"connect").status == "trap"
    assert instance.call(b"leave").status == "exit"
    short = adapter.prepare(plan._replace(caps=CAPS._replace(timeout_ms=500)), artifact).start(remembering())
    assert short.call(b"sleep").status == "timeout"
