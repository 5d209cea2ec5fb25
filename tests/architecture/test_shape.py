"""The tree keeps its shape: imports point down, start-up stays light, the documents name what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    "governance", "rules", "connectors_registry", "audit", "runtime_adapters", "deploy", "tests",
    "pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements.lock", ".ci", "CHANGELOG.md", ".gitignore",
    ".pre-commit-hooks.yaml",
}  # fmt: skip


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return listing.stdout.splitlines()


def imported_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_top_level_is_what_the_readme_explains():
    assert {path.split("/", 1)[0] for path in tracked()} <= TOP_LEVEL


def test_imports_point_one_way():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_program_of_ours_imports_from_the_folder_it_is_started_in():
    """`check` runs in checkouts of strangers, where a `json.py` may lie."""
    starts = [
        (path, found[1])
        for path in tracked()
        if path.endswith(".py") and not path.startswith("tests/")
        for found in re.finditer(r"sys\.executable,\s*(\S+)", (ROOT / path).read_text())
    ]
    assert len(starts) > 5
    assert [start for start in starts if start[1] != '"-P",'] == []


def test_every_room_says_what_lives_in_it():
    for room in ("governance", "rules", "connectors_registry", "audit", "runtime_adapters", "deploy", "tests"):
        assert (ROOT / room / "README.md").is_file(), room


def test_modules_stay_readable():
    long = {
        path: lines
        for path in tracked()
        if path.endswith(".py") and not path.startswith("tests/")
        for lines in [len((ROOT / path).read_text().splitlines())]
        if lines > 400
    }
    assert long == {}


def test_the_lock_names_no_registry_and_pins_every_package_by_hash():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    requirements = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert len(requirements) > 40
    assert text.count("--hash=sha256:") >= len(requirements)


def test_checking_a_file_imports_none_of_the_heavy_packages():
    manifest = str(ROOT / "deploy/examples/where2eat/app-fixed.yaml")
    statement = (
        "import sys, io\n"
        "from governance.entrypoints.cli.main import run\n"
        f"code = run(['check', {manifest!r}], sys.stdin, io.StringIO(), sys.stderr)\n"
        "assert code == 0, code"
    )
    imported_by(statement)  # compiles the rule pack, which takes more; once per machine and version
    loaded = imported_by(statement)
    roots = {name.split(".")[0] for name in loaded}
    assert roots.isdisjoint(
        {"fastapi", "sqlmodel", "presidio_analyzer", "litellm", "pydantic", "starlette", "granian", "httpx"}
    )
    assert roots.isdisjoint({"cryptography", "sqlite3", "psycopg", "opentelemetry", "argparse", "dataclasses"})


def test_the_embedded_log_does_without_postgresql_s_driver(tmp_path):
    loaded = imported_by(
        "import pathlib, audit.writer, audit.client, audit.care, governance.wiring\n"
        "from audit.log import AuditLog\n"
        f"AuditLog(pathlib.Path({str(tmp_path)!r}), origin='log.example/shape').close()",
    )
    assert not {name for name in loaded if name.split(".")[0] == "psycopg" or name.startswith("audit.postgres")}


def test_the_audit_verifier_stands_alone():
    loaded = imported_by("import audit.verify")
    assert not {
        name for name in loaded if name.split(".")[0] in {"governance", "regorus", "cryptography", "orjson", "pydantic"}
    }
