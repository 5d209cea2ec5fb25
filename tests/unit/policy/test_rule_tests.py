"""`rules test`: what passes, what fails and how it is told, and what must not pass for a run."""

import pytest

from governance.errors import RuleError
from governance.policy.rule_tests import run_tests

OWNER_TEST = "tests/app/owner_test.rego"
HEAD = "package tests.app.owner_test\n\nimport data.platform.rules.app.owner\n\n"


def outcomes(source, **options):
    return {o.name.rpartition(".")[2]: o for o in run_tests(source, **options).outcomes}


def test_tests_and_cases_pass_and_the_lines_they_reach_are_counted(folder):
    report = run_tests(folder())
    assert report.failed == []
    assert len(report.outcomes) == 5
    by_file = (
        {c.file: c for c in report.coverage}
        if hasattr(report.coverage[0], "file")
        else {c[0]: c for c in report.coverage}
    )
    assert set(by_file) == {"app/owner.rego", "app/colour.rego", "obligations/label.rego"}


def test_a_line_that_no_test_reaches_is_told(folder):
    source = folder({"tests/app/colour_test.rego": None, "tests/cases/app/colour.yaml": None})
    row = next(c for c in run_tests(source).coverage if c.file == "app/colour.rego")
    assert (row.covered, row.missed) == (0, (13, 14, 15))


@pytest.mark.parametrize(
    ("statement", "got", "expected"),
    [
        ('count(owner.deny) == 7 with input as {"app": {}}', "1", "7"),
        ('owner.deny == set() with input as {"app": {"owner": "o"}}; 1 == 2', "1", "2"),
        ('x := "a"; x == upper(x)', '"a"', '"A"'),
        ('input.nowhere == "b"', "undefined", '"b"'),
        ("count([1, 2]) > 3", "2", "3"),
    ],
)
def test_a_failing_test_tells_what_was_got_and_what_was_expected(statement, got, expected, folder):
    failed = outcomes(folder({OWNER_TEST: f"{HEAD}test_it if {{ {statement} }}\n"}))["test_it"]
    assert (failed.status, failed.file, failed.line) == ("fail", OWNER_TEST, 5)
    assert f"got {got}\nexpected {expected}" in failed.detail
    assert f"{OWNER_TEST}:5" in failed.detail


def test_a_failing_statement_without_sides_is_named(folder):
    failed = outcomes(folder({OWNER_TEST: f"{HEAD}test_it if {{\n\ttrue\n\tnot true\n}}\n"}))["test_it"]
    assert f"this does not hold: {OWNER_TEST}:7" in failed.detail


@pytest.mark.parametrize("value", ["1", '"true"', "[]", "null", "false"])
def test_only_true_passes(value, folder):
    assert outcomes(folder({OWNER_TEST: f"{HEAD}test_it := {value}\n"}))["test_it"].status == "fail"


def test_an_error_is_no_pass(folder):
    found = outcomes(folder({OWNER_TEST: f"{HEAD}test_it if not upper(1)\n\ntest_good if true\n"}))
    assert found["test_it"].status == "error"
    assert OWNER_TEST in found["test_it"].detail
    assert found["test_good"].status == "pass"


def test_a_test_that_is_still_to_do_is_skipped_and_counted(folder):
    report = run_tests(folder({OWNER_TEST: f"{HEAD}todo_test_it if false\n\ntodo_this if false\n"}))
    assert [o.status for o in report.outcomes if "todo_test_it" in o.name] == ["skip"]
    assert report.failed == []


@pytest.mark.parametrize(
    ("case", "status", "told"),
    [
        ("expect: []", "fail", "expected no further violation"),
        ("expect: [{path: [app, name]}]", "fail", 'expected {"path": ["app", "name"]}'),
        ("expect: [{path: [app, owner], message_contains: nothing like it}]", "fail", "got [{"),
        ("expect: [{path: [app, owner]}, {path: [app, owner]}]", "fail", "got [{"),
        ("expect: [{path: [app, owner]}]", "pass", ""),
    ],
)
def test_a_case_is_met_one_for_one(case, status, told, folder):
    text = f"- description: No owner.\n  input: {{kind: deploy, app: {{}}}}\n  {case}\n"
    report = run_tests(folder({"tests/cases/app/owner.yaml": text}), only="owner")
    (found,) = [o for o in report.outcomes if "case 1" in o.name]
    assert found.status == status
    assert told in found.detail


def test_a_cases_own_data_take_the_place_of_the_packs(folder):
    text = (
        "- description: Green is theirs.\n  input: {kind: deploy, app: {colour: green}}\n"
        "  data: {platform: {colours: {allowed: [green]}}}\n  expect: []\n"
    )
    assert run_tests(folder({"tests/cases/app/colour.yaml": text})).failed == []


def test_a_case_without_a_rule_is_an_error(folder):
    text = "- description: d\n  input: {}\n  expect: []\n"
    (failed,) = run_tests(folder({"tests/cases/app/nosuch.yaml": text})).failed
    assert (failed.status, "there is no rule app/nosuch.rego" in failed.detail) == ("error", True)


@pytest.mark.parametrize("text", ["- description: d\n  input: {}\n", "- just text\n", "- input: {}\n  expect: []\n"])
def test_a_malformed_case_is_refused_with_its_number(text, folder):
    with pytest.raises(RuleError, match=r"owner\.yaml case 1"):
        run_tests(folder({"tests/cases/app/owner.yaml": text}))


def test_builtins_of_ours_can_be_tested(folder):
    text = f'{HEAD}test_it if net.cidr_contains("10.0.0.0/8", "10.1.2.3")\n'
    assert outcomes(folder({OWNER_TEST: text}))["test_it"].status == "pass"


def test_only_some_of_them(folder):
    assert set(outcomes(folder(), only="red")) == {"test_red_is_ours"}


@pytest.mark.parametrize("only", ["nothing is called that", ""])
def test_no_tests_is_not_no_failures(only, folder):
    source = folder() if only else folder({"lib/x.rego": "package platform.lib.x\n\nx := 1\n"}, base={})
    with pytest.raises(RuleError, match="0 tests found"):
        run_tests(source, only=only)
