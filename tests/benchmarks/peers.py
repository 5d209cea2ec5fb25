"""The peers: OPA's server and conftest, built from the Go module proxy where Go is present, and our rules as they take them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from governance.model.request import KINDS
from governance.policy.build import rules_of
from governance.policy.bundle import load_bundle
from governance.policy.compiler.entry import RuleEntry, entry_module

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".cache" / "bin"
OPA_VERSION = "v1.22.2"
CONFTEST_VERSION = "latest"
# The command line of OPA as its own project builds it, less the commands nobody measures.
_OPA_MAIN = """package main

import (
\t"os"

\t"github.com/open-policy-agent/opa/cmd"
)

func main() {
\tif err := cmd.Command(nil, "OPA").Execute(); err != nil {
\t\tos.Exit(1)
\t}
}
"""
# What our line does before the rules, as far as Rego can: the manifest as `app`, and facts that are data here.
_CONFTEST_MAIN = """package main

import rego.v1

_input := {
\t"kind": "deploy", "action": "create", "tenant": input.spec.tenant, "subject": {"id": "x"}, "resource": input, "context": {},
\t"app": object.union(input.spec, {"name": input.metadata.name}), "facts": data.bench.facts, "now": "2026-03-01T10:00:00Z",
}

deny contains message if {
\tsome v in data.platform.main.deploy.violations with input as _input
\tmessage := sprintf("%s: %s", [v.rule, v.found.message])
}
"""


def opa() -> Path | None:
    """The `opa` program, built once; None where there is no Go."""
    path = BIN / "opa"
    if path.exists() or shutil.which("go") is None:
        return path if path.exists() else None
    source = ROOT / ".cache" / "opa-main"
    source.mkdir(parents=True, exist_ok=True)
    (source / "main.go").write_text(_OPA_MAIN)
    _go(["mod", "init", "opa-main"], source) if not (source / "go.mod").exists() else None
    _go(["get", f"github.com/open-policy-agent/opa/cmd@{OPA_VERSION}"], source)
    _go(["build", "-o", str(path), "."], source)
    return path


def program(name: str, source: Path, package: str) -> Path | None:
    """A Go program of ours that uses a package of OPA, built once per version of its source; None where there is no Go."""
    path = BIN / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if path.exists() or shutil.which("go") is None:
        return path if path.exists() else None
    folder = ROOT / ".cache" / f"go-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder / "main.go")
    _go(["mod", "init", name], folder) if not (folder / "go.mod").exists() else None
    _go(["get", f"{package}@{OPA_VERSION}"], folder)
    _go(["build", "-o", str(path), "."], folder)
    return path


def conftest() -> Path | None:
    """The `conftest` program, built once; None where there is no Go."""
    path = BIN / "conftest"
    if path.exists() or shutil.which("go") is None:
        return path if path.exists() else None
    _go(["install", f"github.com/open-policy-agent/conftest@{CONFTEST_VERSION}"], ROOT, GOBIN=str(BIN))
    return path


def _go(argv: list[str], folder: Path, **env: str) -> None:
    BIN.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", *argv], cwd=folder, check=True, env={**os.environ, **env}, capture_output=True)


def write_policy(folder: Path, facts: object) -> None:
    """Our rule pack, its data and the entry module as a folder that OPA and conftest load."""
    pack = load_bundle(str(ROOT / "rules"))
    entries = [RuleEntry(m.id, m.package, m.applies_to, m.obligation_type) for m in rules_of(pack)]
    for module in pack.modules:
        place = folder / "policy" / module.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(module.text)
    # A kind without obligations has an empty set, over which OPA's type check refuses to iterate.
    obliged = {kind for entry in entries if entry.obligation_type for kind in entry.applies_to}
    ruled = {kind for entry in entries if not entry.obligation_type for kind in entry.applies_to}
    served = sorted(KINDS & obliged & ruled)
    (folder / "policy" / "entry.rego").write_text(entry_module(entries, served))
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "data.json").write_text(json.dumps({**pack.data, "bench": {"facts": facts}}))
    (folder / "conftest").mkdir(exist_ok=True)
    (folder / "conftest" / "main.rego").write_text(_CONFTEST_MAIN)
