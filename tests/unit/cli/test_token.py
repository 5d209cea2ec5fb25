"""A token is turned back for a role that policy names, and the log knows of every attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from governance.protect.keys import data_keys
from governance.protect.transforms import tokenize

ASK = ("--entity", "EMPLOYEE_ID", "--tenant", "marketing", "--reason", "Request of the works council.")


def key(cli, role, *more):
    return cli("key", "create", "--role", role, *more).out.strip().encode()


@pytest.fixture
def token(tmp_path):
    return tokenize("4711", "EMPLOYEE_ID", "marketing", data_keys(Path(tmp_path / "home")))


def test_compliance_may_and_it_is_recorded_first(cli, token):
    done = cli("token", "reveal", token, *ASK, stdin=key(cli, "compliance"))
    assert (done.code, done.out) == (0, "4711\n")
    lines = cli("audit", "list", "--format", "json").out.splitlines()
    records = [json.loads(line)["public"] for line in lines]
    assert [r["actor"][:4] for r in records if r.get("path") == "platform/lib/reveal/allow"] == ["key:"]


def test_another_role_may_not(cli, token):
    done = cli("token", "reveal", token, *ASK, stdin=key(cli, "service"))
    assert (done.code, done.out) == (1, "")
    assert "not allowed, recorded as" in done.err


def test_a_key_of_another_tenant_may_not(cli, token):
    done = cli("token", "reveal", token, *ASK, stdin=key(cli, "compliance", "--tenant", "hr"))
    assert (done.code, done.out) == (1, "")


@pytest.mark.parametrize("presented", ["", "gk_nobody_0000"])
def test_nobody_without_a_key_gets_anything(cli, token, presented):
    done = cli("token", "reveal", token, *ASK, stdin=presented.encode())
    assert done.code != 0
    assert done.out == ""


def test_a_token_that_was_not_made_here_is_refused(cli, token):
    done = cli("token", "reveal", token[:-3] + "AAA", *ASK, stdin=key(cli, "compliance"))
    assert (done.code, done.out) == (2, "")
