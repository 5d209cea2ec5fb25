"""The auditor's walk in audit/README.md is walked, command by command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.journeys.service import ROOT, environment

BIN = Path(sys.executable).parent
WALK = (ROOT / "audit" / "README.md").read_text().split("\n## An auditor's walk\n")[1].split("\n## ")[0]
# The first two are of what is refused: their exit code says so.
MAY_BE_REFUSED = ("governance decide",)


def test_every_command_of_the_walk_does_what_it_says(tmp_path):
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    said = []
    blocks = re.findall(r"```sh\n(.*?)```", WALK, re.DOTALL)
    assert len(blocks) == 8
    lines = [line for block in blocks for line in block.splitlines()]
    script = ["set -e"] + [f"{line} || true" if line.startswith(MAY_BE_REFUSED) else line for line in lines]
    env = environment(tmp_path / "home", PATH=f"{BIN}:/usr/bin:/bin", PYTHONPATH=str(ROOT))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], capture_output=True, text=True, check=False, cwd=tmp_path, env=env
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("VERIFIED: 4 records") == 5  # also after the erasure
    assert (
        len(re.findall(r"^VERIFIED: [5-9] records", said, re.MULTILINE)) == 2
    )  # what came after it, with the exports' records
    assert "VERIFIED: record 0 (kind deploy, effect deny, app where2eat" in said
    assert re.search(r"^VERIFIED: the log .* continues your checkpoint of 3", said, re.MULTILINE)
    assert "leads to this one by 1 rotations" in said
    assert (tmp_path / "certificate").read_text().count("\noutside ") == 4
    assert "It continues the checkpoint that you kept" in said
    assert "0 differently" in said
    assert re.search(r"RE-EVALUATED: [1-9]\d* decisions came out as recorded", said)
    assert "DATA-007: Data is kept no longer than its class allows" in said
    assert 'package platform.rules["data"].retention' in said
    assert "SOC2:" in said
    assert "of 1 apps compliant, by the" in said
    assert "NOT VERIFIED: records.jsonl:1: record 0 (decision " in said
    assert (tmp_path / "copy" / "report.pdf").read_bytes().startswith(b"%PDF-")
