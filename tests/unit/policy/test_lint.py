"""Lint: every check has a pack that passes and one that does not."""

import pytest

from governance.errors import RuleError
from governance.policy.lint import lint

# The whole of a rule that nothing is wrong with; each case changes one thing.
RULE = """package platform.rules.app.owner

deny contains v if {
	not input.app.owner
	v := {"path": ["app", "owner"], "message": "The app has no owner."}
}
"""


def owner(meta, text, **changed):
    return {"app/owner.rego": meta("APP-001", **changed) + text}


def checks(source):
    return {finding.check for finding in lint(source)[0]}


def test_a_sound_pack_has_no_findings(folder):
    assert lint(folder()) == ([], 2)


def test_the_sound_rule_of_these_cases_is_sound(folder, meta):
    assert checks(folder(owner(meta, RULE))) == set()


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("package-fits-path", RULE.replace("app.owner\n", "app.owners\n", 1)),
        ("only-deny-public", RULE + "\nhelper := 1\n"),
        ("only-deny-public", RULE.replace("deny contains", "refuse contains")),
        ("only-deny-public", "package platform.rules.app.owner\n\ndeny := [] if input.x\n"),
        ("whole-violation", RULE.replace('"path": ["app", "owner"], ', "")),
        ("whole-violation", RULE.replace(', "message": "The app has no owner."', "")),
        ("whole-violation", 'package platform.rules.app.owner\n\ndeny contains {"path": []} if not input.app.owner\n'),
        ("unused-variable", RULE.replace("\tnot input", "\tunused := input.app\n\tnot input")),
        ("unused-variable", RULE.replace("\tnot input", "\tsome unused in input.app\n\tnot input")),
        ("sprintf-counts", RULE.replace('"The app has no owner."', 'sprintf("%s of %d", [input.app.name])')),
        ("sprintf-counts", RULE.replace('"The app has no owner."', 'sprintf("100%%", [input.app.name])')),
        ("no-url-globs", RULE.replace("not input.app.owner", 'glob.match("https://api.corp*", [], input.app.url)')),
        ("lists-are-data", RULE.replace("input.app.owner", "input.app.owner in [1, 2, 3, 4, 5, 6, 7]", 1)),
        ("not-too-long", RULE + "".join(f"\n_h{n} := {n}\n" for n in range(60))),
        ("not-too-long", RULE + f"\n# {'x' * 250}\n"),
        ("no-todo", RULE + "\n# TODO: later\n"),
        ("shadows-nothing", RULE.replace("\tnot input", "\tinput := {}\n\tnot input")),
        ("shadows-nothing", RULE.replace("\tnot input", "\t_h := 1\n\t_h > 0\n\tnot input") + "\n_h := 2\n"),
        ("clock-is-input", RULE.replace("not input.app.owner", 'input.now < "2027-01-01T00:00:00Z"')),
        ("compiles", RULE.replace("not input.app.owner", "nosuch(input.app)")),
        ("compiles", RULE.replace("not input.app.owner", "input.app.since < time.now_ns()")),
        ("compiles", RULE.replace("not input.app.owner", "not input.app[_]")),
        ("compiles", RULE.replace("not input.app.owner", "not _h") + "\n_h if not _h\n"),
        ("compiles", RULE.replace("not input.app.owner", "x > 1; x := input.a")),
        ("parses", RULE.replace("deny contains", "deny contain")),
    ],
)
def test_what_is_wrong_is_found(check, text, folder, meta):
    found = [f for f in lint(folder(owner(meta, text)))[0] if f.check == check]
    assert found
    assert {f.file for f in found} == {"app/owner.rego"}
    assert all(f.line >= 1 and f.message for f in found)


@pytest.mark.parametrize(
    "text",
    [
        RULE + "\n_helper := 1\n",
        RULE.replace("\tnot input", "\tsome _, used in input.list\n\tused > 0\n\tnot input"),
        RULE.replace('"The app has no owner."', 'sprintf("%s of %d", [input.app.name, 1])'),
        RULE.replace('"The app has no owner."', 'sprintf("100%% of %.2f", [input.app.share])'),
        RULE.replace('"The app has no owner."', 'sprintf("%s", input.app.values)'),
        RULE.replace("not input.app.owner", 'startswith(input.app.url, "https://api.corp/")'),
        RULE.replace("input.app.owner", "input.app.owner in [1, 2, 3]", 1),
        RULE.replace("not input.app.owner", "input.now < input.app.until"),
        RULE + "\n_h(x) := x + 1\n",
    ],
)
def test_what_only_resembles_it_is_not(text, folder, meta):
    assert checks(folder(owner(meta, text))) == set()


@pytest.mark.parametrize("missing", ["tests/app/owner_test.rego", "tests/cases/app/owner.yaml"])
def test_a_rule_without_test_or_case_is_found(missing, folder):
    (found,) = lint(folder({missing: None}))[0]
    assert (found.check, found.file) == ("has-test-and-case", "app/owner.rego")
    assert missing in found.message


def test_an_id_that_two_rules_have_is_found(folder, meta):
    files = owner(meta, RULE)
    files["app/owner.rego"] = files["app/owner.rego"].replace("APP-001", "APP-002")
    (found,) = lint(folder(files))[0]
    assert found.check == "unique-id"


@pytest.mark.parametrize("changed", [{"title": None}, {"  severity": "dire"}, {"  applies_to": "[everything]"}])
def test_metadata_that_are_not_whole_are_found_with_their_line(changed, folder, meta):
    found = [f for f in lint(folder(owner(meta, RULE, **changed)))[0] if f.check == "parses"]
    assert [(f.file, f.line, f.severity) for f in found] == [("app/owner.rego", 1, "error")]


def test_nothing_looked_at_is_not_nothing_found(folder):
    with pytest.raises(RuleError, match="0 rules found"):
        lint(folder({"lib/x.rego": "package platform.lib.x\n\nx := 1\n"}, base={}))
