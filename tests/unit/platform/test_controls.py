"""Controls: rules and catalogue fit each other, and what the log shows about each is counted once."""

from __future__ import annotations

import pytest

from audit.log import AuditLog
from audit.record import Entry
from audit.store import Filter
from governance.errors import CallerError, RuleError
from governance.platform.controls import coverage, evidence, load_catalogue, title_of
from governance.policy.active import load_active
from governance.policy.locations import data_folder
from governance.policy.metadata import rules_of_control


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(data_folder("rules"))


@pytest.fixture(scope="module")
def rules():
    return list(load_active().rules.values())


def decision(index: int, *, kind: str = "deploy", violations=(), **public) -> Entry:
    said = {
        "decision_id": f"d{index}", "app": "lunch", "tenant": "hr", "effect": "deny" if violations else "allow",
        "error": None, "rules": sorted({v["rule"] for v in violations}), "revision": "r1", "actor": "key:1", **public,
    }  # fmt: skip
    sealed = {"answer": {"reason": "", "violations": list(violations), "waivers": []}}
    return Entry(kind, f"2026-03-0{index + 1}T10:00:00Z", said, sealed, "s")


def violation(rule: str, *, waived_by=None, mode: str = "enforce") -> dict:
    return {"rule": rule, "mode": mode, "effect": "deny", "waived_by": waived_by, "controls": []}


class TestFilter:
    def test_a_framework_and_a_part_of_it_stand_for_the_controls_within(self, rules):
        named = {rule.id: rule.controls for rule in rules}
        for wanted in ("SOC2", "ISO-27001:A.5", "NIST-SP-800-53:AC", "SOC2:CC6"):
            found = rules_of_control(rules, wanted)
            expected = {
                rule
                for rule, controls in named.items()
                for c in controls
                if c == wanted or c.startswith((f"{wanted}:", f"{wanted}.", f"{wanted}-"))
            }
            assert set(found) == expected != set()

    @pytest.mark.parametrize("wanted", ["", "SOC", "SOC2:CC6.", "ISO-27001:A.5.1x", "S", ":", "soc2"])
    def test_what_only_begins_like_one_is_none(self, rules, wanted):
        with pytest.raises(CallerError, match="no rule names the control"):
            rules_of_control(rules, wanted)


class TestCatalogue:
    def test_every_control_that_a_rule_names_is_in_it(self, catalogue, rules):
        assert coverage(catalogue, rules).unknown == ()

    def test_every_rule_serves_a_control_of_each_framework_that_asks_for_it(self, catalogue, rules):
        assert {f.name for f in catalogue.values() if f.is_required} == {"SOC2", "ISO-27001", "GDPR", "NIST-SP-800-53"}
        assert coverage(catalogue, rules).missing == ()

    def test_what_is_served_and_what_is_not_make_up_the_catalogue(self, catalogue, rules):
        found = coverage(catalogue, rules)
        every = {f"{f.name}:{control}" for f in catalogue.values() for control in f.controls}
        assert set(found.served) | set(found.unserved) == every
        assert not set(found.served) & set(found.unserved)
        assert len(catalogue["ISO-27001"].controls) == 93

    def test_a_rule_with_a_control_that_nobody_knows_is_named(self, catalogue, rules):
        odd = rules[0]._replace(controls=("SOC2:CC99.9", "GDPR:Art.5"))
        found = coverage(catalogue, [odd])
        assert found.unknown == (f"{odd.id} names SOC2:CC99.9",)
        assert found.missing == tuple(
            f"{odd.id} names no control of {name}" for name in ("ISO-27001", "NIST-SP-800-53")
        )
        assert title_of(catalogue, "Nobody:1") is None

    @pytest.mark.parametrize("text", ["[]", "a: 1", "a: {title: x}", "x: [", ""])
    def test_a_catalogue_of_another_form_is_refused(self, tmp_path, text):
        (tmp_path / "controls.yaml").write_text(text)
        with pytest.raises(RuleError, match="not a catalogue"):
            load_catalogue(str(tmp_path))

    def test_no_catalogue_is_an_error(self, tmp_path):
        with pytest.raises(RuleError, match="no catalogue"):
            load_catalogue(str(tmp_path))


class TestEvidence:
    def test_decisions_violations_and_waivers_are_counted_by_control(self, tmp_path, catalogue, rules):
        by_id = {meta.id: meta for meta in rules}
        with AuditLog(tmp_path, origin="log.example/audit") as log:
            log.append(decision(0))
            log.append(decision(1, violations=[violation("CONN-001"), violation("CONN-001")]))
            log.append(decision(2, violations=[violation("CONN-001", waived_by="w")], effect="allow"))
            log.append(decision(3, violations=[violation("CONN-001", mode="shadow")], effect="allow"))
            log.append(decision(4, effect="deny", error="no_answer"))
            log.append(decision(5, kind="publish"))
            log.append(Entry("audit_read", "2026-03-07T10:00:00Z", {"effect": "allow", "rules": []}, {}))
            rows = {row.control: row for row in evidence(log.reader, Filter(), catalogue, rules)}
            later = {r.control: r for r in evidence(log.reader, Filter(since="2026-03-03"), catalogue, rules)}
        for control in by_id["CONN-001"].controls:
            row = rows[control]
            assert (row.decided, row.not_met, row.waived, row.places) == (4, 1, 1, (1, 2)), control
            assert (later[control].decided, later[control].not_met) == (2, 0)
        life = rows["GDPR:Art.17"]
        assert (life.rules, life.decided) == (("LIFE-002",), 0)
        assert all(row.title for row in rows.values())
