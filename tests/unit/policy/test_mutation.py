"""Mutants: a rule whose tests hold it to nothing has survivors, and they are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from governance.policy.mutation import mutate, score

RULES = Path(__file__).parents[3] / "rules"
RULE = """# METADATA
# title: Small numbers only
# description: A number is small.
# custom:
#   id: OWN-001
#   severity: low
#   applies_to: [deploy]
#   controls: ["SOC2:CC6.1"]
#   remediation: Use a smaller one.
package platform.rules.own.small

import rego.v1

deny contains v if {
	input.app.n > 10
	not input.app.n in [20, 30]
	v := {"path": ["app", "n"], "message": "too large"}
}
"""
GOOD = """package platform.rules.own.small_test

import rego.v1

import data.platform.rules.own.small

test_ten_passes if count(small.deny) == 0 with input as {"app": {"n": 10}}

test_eleven_fails if {
	[v | some v in small.deny] == [{"path": ["app", "n"], "message": "too large"}] with input as {"app": {"n": 11}}
}

test_twenty_passes if count(small.deny) == 0 with input as {"app": {"n": 20}}

test_thirty_passes if count(small.deny) == 0 with input as {"app": {"n": 30}}
"""
HUNDRED = 'test_hundred_fails if count(small.deny) == 1 with input as {"app": {"n": 100}}'
WEAK = GOOD.split("test_eleven", maxsplit=1)[0] + HUNDRED + "\n"


def pack(folder: Path, tests: str) -> str:
    for name, text in (("own/small.rego", RULE), ("tests/own/small_test.rego", tests)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def test_several_processes_find_the_same(tmp_path):
    source = pack(tmp_path, WEAK)
    for folder in ("", "tests/"):
        file = tmp_path / folder / "own" / ("small_test.rego" if folder else "small.rego")
        other = file.with_name(file.name.replace("small", "tiny"))
        other.write_text(file.read_text().replace("small", "tiny").replace("OWN-001", "OWN-002"))
    together = mutate(source, jobs=2)
    assert {mutant.file for mutant in together} == {"own/small.rego", "own/tiny.rego"}
    assert together == mutate(source)


def test_tests_that_hold_a_rule_notice_every_change(tmp_path):
    mutants = mutate(pack(tmp_path, GOOD))
    assert len([m for m in mutants if m.status != "invalid"]) >= 6
    assert score(mutants) == 100.0


def test_what_weak_tests_let_pass_is_named_with_its_line(tmp_path):
    survivors = {(m.line, m.change) for m in mutate(pack(tmp_path, WEAK)) if m.status == "survived"}
    assert (15, "10 to 11") in survivors
    assert any(line == 16 and "list without" in change for line, change in survivors)
    assert all(line != 16 for line, change in survivors if change.startswith("without `v"))


def test_only_the_rules_that_were_asked_for_are_changed(tmp_path):
    assert mutate(pack(tmp_path, GOOD), only="other") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("domain", sorted({file.parent.name for file in RULES.glob("*/*.rego")} - {"lib"}))
def test_our_own_rules_notice_nine_of_ten(domain):
    mutants = mutate(str(RULES), only=f"{domain}/", jobs=os.cpu_count() or 1)
    assert mutants
    assert score(mutants) >= 90.0, [mutant for mutant in mutants if mutant.status == "survived"]
