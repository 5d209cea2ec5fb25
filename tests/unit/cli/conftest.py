"""The command line as a function: real commands, without the cost of a process each."""

from __future__ import annotations

import io
import os
from typing import NamedTuple

import pytest

from governance.entrypoints.cli.main import run
from governance.model.request import Source


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """`cli("check", "app.yaml", stdin=b"…", GOVERNANCE_…="…")`, in a folder and a home of its own."""
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*argv: str, stdin: bytes = b"", **env: str) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            out, err = io.StringIO(), io.StringIO()
            code = run(argv, io.TextIOWrapper(io.BytesIO(stdin)), out, err)
        return Done(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def source():
    """Somebody at a door."""
    return Source("cli.check", "os:1000")
