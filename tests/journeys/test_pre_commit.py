"""The hooks as their users run them: the real pre-commit, in a repository of somebody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
GOVERNANCE = Path(sys.executable).with_name("governance")
EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="pre-commit needs git")


@pytest.fixture
def run(tmp_path):
    """`run("git", "add", …)` in a new repository, with nothing of this account's git or pre-commit."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "GOVERNANCE_", "PRE_COMMIT"))}
    env |= {
        "PRE_COMMIT_HOME": str(tmp_path / "cache"), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
    }  # fmt: skip

    def call(*argv, cwd=folder):
        done = subprocess.run(
            [str(word) for word in argv], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    call("git", "init", "-q")
    return call, folder


def configured(folder, repo):
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [repo]}))


def local(name):
    """The hook as we publish it, run from this installation: what pip would install is measured once, below."""
    hook = HOOKS[name]
    return {**hook, "language": "system", "entry": hook["entry"].replace("governance", str(GOVERNANCE), 1)}


def test_the_manifest_of_the_hooks_is_one(run):
    call, _ = run
    assert call(PRE_COMMIT, "validate-manifest", ROOT / ".pre-commit-hooks.yaml") == (0, "")


def test_a_commit_with_a_mistake_is_refused_with_rule_and_line(run):
    call, folder = run
    configured(folder, {"repo": "local", "hooks": [local("governance-check")]})
    shutil.copy(EXAMPLES / "app.yaml", folder)
    (folder / "Dockerfile").write_text("FROM python:3\nUSER 0\n")
    call("git", "add", ".")
    code, out = call(PRE_COMMIT, "run")
    assert code == 1, out
    lines = (folder / "app.yaml").read_text().splitlines()
    memory = next(number for number, line in enumerate(lines, 1) if "memoryMiB" in line)
    assert f"app.yaml:{memory}:" in out
    assert "RUN-002 deny" in out
    assert "Dockerfile:2:1: IMG-003 deny" in out
    assert "2 checked against" in out


def test_a_good_commit_and_one_with_nothing_of_ours_pass(run):
    call, folder = run
    configured(folder, {"repo": "local", "hooks": [local("governance-check")]})
    (folder / "settings.json").write_text("{}\n")
    call("git", "add", ".")
    code, out = call(PRE_COMMIT, "run")
    assert (code, "Passed" in out) == (0, True), out
    shutil.copy(EXAMPLES / "app-fixed.yaml", folder / "app.yaml")
    call("git", "add", ".")
    code, out = call(PRE_COMMIT, "run")
    assert (code, "Passed" in out) == (0, True), out


def test_a_secret_does_not_get_into_a_commit(run):
    call, folder = run
    configured(folder, {"repo": "local", "hooks": [local("governance-scan")]})
    (folder / ".env").write_text("DB_PASSWORD=not-a-real-one\n")
    call("git", "add", ".")
    code, out = call(PRE_COMMIT, "run")
    assert code == 1, out
    assert ".env:1:1: secret NAMED_SECRET" in out
    assert "not-a-real-one" not in out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_installs_from_a_repository_by_pip_and_runs(run, tmp_path):
    """`pre-commit run` and `pre-commit try-repo` as somebody types them; needs the package registry."""
    call, folder = run
    ours = tmp_path / "ours"
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            (ours / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, ours / name)
    call("git", "init", "-q", cwd=ours)
    call("git", "add", ".", cwd=ours)
    call("git", "commit", "-qm", "release", cwd=ours)
    _, revision = call("git", "rev-parse", "HEAD", cwd=ours)
    shutil.copy(EXAMPLES / "app.yaml", folder)
    configured(folder, {"repo": str(ours), "rev": revision.strip(), "hooks": [{"id": "governance-check"}]})
    call("git", "add", ".")
    code, out = call(PRE_COMMIT, "run", "--all-files")
    assert code == 1, out
    assert "RUN-002 deny" in out
    shutil.copy(EXAMPLES / "app-fixed.yaml", folder / "app.yaml")
    code, out = call(PRE_COMMIT, "try-repo", ours, "governance-check", "--all-files")
    assert (code, "Passed" in out) == (0, True), out
