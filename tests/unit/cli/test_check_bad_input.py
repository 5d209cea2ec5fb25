"""Files that nobody should trust: each is a clear failure or a violation, and none is clean."""

from __future__ import annotations

import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.cli.samples import DEPLOYMENT, DOCKERFILE, PLAN, WORKFLOW

FIXED = Path(__file__).parents[3] / "deploy" / "examples" / "where2eat" / "app-fixed.yaml"
HEAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefgh")
)
DEEP = "x: " + "[" * 200 + "]" * 200 + "\n"


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("a.yaml", (HEAD + BOMB).encode(), ""),
        ("a.yaml", (HEAD + "a: &a {b: *a}\n").encode(), ""),
        ("a.yaml", (HEAD + "kind: Pod\n").encode(), ""),
        ("a.yaml", (HEAD + "spec: {a: 1, a: 2}\n").encode(), ""),
        ("a.yaml", (HEAD + "spec: {<<: {a: 1}}\n").encode(), "merge keys"),
        ("a.yaml", (HEAD + DEEP).encode(), ""),
        ("a.yaml", (HEAD + "spec: {a: .nan}\n").encode(), "NaN"),
        ("a.yaml", (HEAD + "spec: {a: .inf}\n").encode(), "infinity"),
        ("a.yaml", (HEAD + "spec: {a: !!python/object:os.system x}\n").encode(), "tag"),
        ("a.yaml", (HEAD + "spec: {1: a}\n").encode(), "not text"),
        ("a.yaml", (HEAD + "spec: {a: no}\n").encode(), "read differently"),
        ("a.yaml", (HEAD + "spec: {\non: 1, x: on}\n").encode(), "read differently"),
        ("a.yaml", HEAD.encode() + b"spec: {a: \xff\xfe}\n", "not UTF-8"),
        ("a.yaml", HEAD.encode() + b"spec: {a: \0}\n", "NUL"),
        ("a.yaml", HEAD.encode() + b"#" * 1_100_000, "more than"),
        ("a.yaml", (HEAD + "spec: {a: [1, 2\n").encode(), "not YAML"),
        ("a.yaml", (HEAD + "  spec: {}\n").encode(), "not YAML"),
        ("a.yaml", b'{"apiVersion": "v1", "kind": "List", "items": {"a": 1}}', "has to be a list"),
        ("plan.json", json.dumps(PLAN).replace('"acl"', '"acl": NaN, "b"').encode(), "NaN"),
        ("plan.json", json.dumps(PLAN)[:-1].encode(), "not JSON"),
        ("plan.json", json.dumps(PLAN).replace('"mode"', '"type": "x", "mode"', 1).encode(), "stands twice"),
        ("plan.json", b'{"terraform_version": "1", "format_version": "1.2", "x": ' + b"[" * 100_000, ""),
        ("Dockerfile", b"", "no FROM"),
        ("Dockerfile", b"\\" * 1_000_000, "no instruction"),
        ("Dockerfile", b"\\\n" * 500_000, "no FROM"),
        ("Dockerfile", DOCKERFILE.encode() + b"RUN <<EOF\nUSER app\n", "has no end"),
        ("Dockerfile", DOCKERFILE.encode() + b"\xff", "not UTF-8"),
        ("Dockerfile", b"FROM a\n" * 3000, "more than 2000 instructions"),
        (".github/workflows/a.yml", b"", "holds no workflow"),
        (".github/workflows/a.yml", WORKFLOW.encode() + b"\t- x", "not YAML"),
        (".github/workflows/a.yml", WORKFLOW.replace("name: ci", "permissions: {}").encode(), ""),
    ],
)
def test_it_fails_and_says_which_file(cli, tmp_path, name, raw, words):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    (tmp_path / "good.yaml").write_text(DEPLOYMENT)
    done = cli("check", ".")
    assert done.code == 1
    assert name in done.err
    assert words in done.err
    assert "1 not readable" in done.out
    assert "no violations" not in done.out


@pytest.mark.parametrize("shape", ["json", "sarif", "junit", "github"])
def test_every_format_tells_of_it(cli, tmp_path, shape):
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\nFETCH x\n")
    done = cli("check", "--format", shape, "Dockerfile")
    assert done.code == 1
    assert "not-readable" in done.out
    assert {"json": '"line": 2', "sarif": '"startLine": 2', "junit": 'errors="1"', "github": "line=2"}[
        shape
    ] in done.out


@pytest.mark.parametrize("raw", [b"", b"# nothing\n", b"---\n---\n", b"[]", b"a text\n"])
def test_a_file_of_nobody_s_is_nothing_to_check(cli, tmp_path, raw):
    (tmp_path / "a.yaml").write_bytes(raw)
    done = cli("check", "a.yaml")
    assert (done.code, done.out) == (2, "")
    assert "0 rules evaluated" in done.err


def test_standard_input_that_cannot_be_read_fails_whatever_it_is(cli):
    assert cli("check", "-", stdin=b"{{ a: b").code == 1


def test_a_pipe_in_a_folder_is_not_waited_for(cli, tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    os.symlink(tmp_path / "a.yaml", tmp_path / "b.yaml")
    shutil.copy(FIXED, tmp_path / "good.yaml")
    assert cli("check", ".").code == 0


def test_a_link_to_nowhere_is_no_clean_file(cli, tmp_path):
    os.symlink(tmp_path / "absent.yaml", tmp_path / "a.yaml")
    assert cli("check", ".").code == 2


def test_a_workflow_may_say_on_and_nothing_else_may(cli, tmp_path):
    (tmp_path / "a.yaml").write_text(HEAD + "spec: {on: x}\n")
    assert cli("check", ".").code == 1
