"""`governance secret` with either store: names and ages are shown, values never."""

from __future__ import annotations

import json

import pytest

from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there
from tests.vaults import Double

CANARY = "canary-8ab1-not-to-be-seen"


@pytest.fixture(params=["embedded", "vault"])
def secret(request, cli, tmp_path):
    vault = Double()
    (tmp_path / "secret-id").write_text(vault.secret_id)
    env = {
        "GOVERNANCE_VAULT_URL": vault.url,
        "GOVERNANCE_VAULT_ROLE": vault.role_id,
        "GOVERNANCE_VAULT_CREDENTIAL_FILE": str(tmp_path / "secret-id"),
    }
    env = env if request.param == "vault" else {}
    yield lambda *argv, stdin=b"": cli("secret", *argv, stdin=stdin, **env)
    vault.stop()


def test_a_secret_is_put_rotated_and_listed(secret, cli):
    assert secret("put", "marketing/hris", stdin=CANARY.encode() + b"\n").out == "marketing/hris version 1\n"
    assert secret("put", "marketing/hris", stdin=b"other-value\n").code == 2
    assert secret("rotate", "marketing/hris", stdin=b"other-value\n").out == "marketing/hris version 2\n"
    listed = secret("list", "--format", "json")
    assert [(row["name"], row["version"]) for row in json.loads(listed.out)] == [("marketing/hris", 2)]
    assert CANARY not in listed.out
    kinds = [json.loads(line)["kind"] for line in cli("audit", "list", "--format", "json").out.splitlines()]
    assert {"secret_put", "secret_rotate"} <= set(kinds)


def test_what_is_not_there_is_not_rotated(secret):
    done = secret("rotate", "marketing/slack", stdin=CANARY.encode() + b"\n")
    assert (done.code, CANARY in done.err) == (2, False)


@pytest.mark.parametrize("value", [b"", b"two\nlines\n"])
def test_one_line_is_a_value(secret, value):
    assert secret("put", "marketing/hris", stdin=value).code == 2


def test_a_vault_without_tls_is_not_asked(cli):
    done = cli("secret", "list", GOVERNANCE_VAULT_URL="http://vault.example.com")
    assert (done.code, "TLS" in done.err) == (2, True)
