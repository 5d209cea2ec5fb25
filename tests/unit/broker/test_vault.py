"""Calls whose credentials lie in a vault: as with the embedded store, and refused with the reason while it is away."""

from __future__ import annotations

import json

import pytest

from governance.errors import DependencyError
from governance.platform.broker.doubles import hris
from tests.unit.broker.conftest import CANARY, World
from tests.vaults import Double


@pytest.fixture
def vault():
    double = Double()
    yield double
    double.stop()


@pytest.fixture
def world(tmp_path, vault):
    (tmp_path / "secret-id").write_text(vault.secret_id)
    made = World(
        tmp_path,
        vault_url=vault.url,
        vault_role=vault.role_id,
        vault_credential_file=str(tmp_path / "secret-id"),
    )
    yield made
    made.close()


def test_a_call_takes_its_credential_from_the_vault_and_no_store_is_made_here(world):
    world.vendor = hris(CANARY)
    assert world.call().answer["Resources"]
    assert not list((world.folder / "home").glob("secrets*"))
    assert CANARY not in json.dumps(world.records())


def test_while_the_vault_is_sealed_nothing_goes_out_and_the_reason_names_it(world, vault):
    vault.sealed = True
    called = world.call()
    found = {violation.rule: violation.message for violation in called.refusal.violations}
    assert "The stage secrets could not answer" in found["REQ-007"].replace('"', "")
    assert world.double.asked == []
    vault.sealed = False
    world.vendor = hris(CANARY)
    assert world.call().refusal is None


def test_a_vault_that_goes_between_decision_and_call_is_a_failure_on_record(world, vault):
    real = vault.answer

    def sealed_for_values(method, path, headers, body):
        return (503, {"errors": ["sealed"]}) if "/data/" in path else real(method, path, headers, body)

    vault.answer = sealed_for_values
    with pytest.raises(DependencyError, match="the vault: it is sealed"):
        world.call()
    assert world.records()[-1]["kind"] == "refused"
    assert world.double.asked == []


def test_a_rotation_in_the_vault_counts_at_the_next_call(world, vault):
    world.vendor = hris("another-value")
    assert world.call().status == 401
    world.secrets.rotate("marketing/hris", "another-value")
    assert world.call().status == 200
