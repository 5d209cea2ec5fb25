"""The README is run, not only read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from governance.entrypoints.cli.main import COMMANDS
from governance.settings import TABLE
from tests.journeys.service import ROOT, environment
from tests.ports import free_port

README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(heading: str) -> list[str]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's example asks with curl")
def test_the_service_of_the_readme_answers_records_exports_and_verifies(tmp_path):
    (block,) = blocks("Use it")
    port, package = str(free_port()), str(tmp_path / "package")
    script = block.replace("8181", port).replace(".venv/bin/", f"{BIN}/").replace("package", package)
    script = script.replace("GOVERNANCE_HOME=.governance", f"GOVERNANCE_HOME={tmp_path / 'home'}")
    # What needs no service has to work beside one that runs; the last line's failure is the script's.
    done = subprocess.run(
        ["bash", "-c", f"set -e; trap 'kill $(jobs -p)' EXIT\n{script}"],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment(tmp_path / "home"), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"effect":"deny"' in done.stdout
    assert "connector_call" in done.stdout
    assert "VERIFIED: 2 records" in done.stdout


def test_it_names_only_commands_settings_targets_and_paths_that_exist():
    for command in re.findall(r"governance ([a-z]+)\b", "\n".join(re.findall(r"`[^`]*`|```.*?```", README, re.DOTALL))):
        assert command in COMMANDS, command
    known = {row.variable for row in TABLE}
    assert set(re.findall(r"\bGOVERNANCE_[A-Z_]+", README)) <= known
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (?!python3-venv)([a-z-]+)", README):
        assert f"\n{target}:" in makefile, target
    for path in re.findall(
        r"`((?:governance|rules|audit|deploy|connectors_registry|runtime_adapters|tests)/[\w./-]*)`", README
    ):
        assert (ROOT / path).exists(), path


def test_both_ways_of_the_first_minute_run_the_same():
    """The Makefile's set-up and the README's plain commands are the same commands."""
    with_make, without = blocks("One minute")[:2]
    assert "make demo" in with_make
    assert "make test" in with_make
    makefile = (ROOT / "Makefile").read_text()
    for part in ("--require-hashes -r requirements.lock", "--no-deps --no-build-isolation -e .", "python -m pytest"):
        assert part in without
        assert part in makefile
    ci = (ROOT / ".ci" / "run").read_text()
    assert "make test" in ci
