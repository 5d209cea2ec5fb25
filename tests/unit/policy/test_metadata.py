"""Metadata blocks: everything a decision quotes has to be there, and what is wrong is named with its line."""

import pytest

from governance.errors import RuleError
from governance.policy.metadata import metadata_of, package_of

RULE = "package platform.rules.app.owner\n\ndeny contains 1 if false\n"
OBLIGATION = "package platform.obligations.label\n\noblige contains 1\n"


def read(text):
    return metadata_of(text, "app/owner.rego")


def test_a_whole_block_is_read_and_deny_is_its_effect(meta):
    found = read("# a note\n\n" + meta("APP-001") + RULE)
    assert (found.id, found.effect, found.severity, found.line) == ("APP-001", "deny", "high", 3)
    assert (found.applies_to, found.controls, found.package) == (
        ("deploy",),
        ("ISO-27001:A.5.15",),
        "platform.rules.app.owner",
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"title": None}, 'no "title"'),
        ({"title": '""'}, 'no "title"'),
        ({"  id": None}, 'no "id"'),
        ({"  id": "app-1"}, "is not DOMAIN-NNN"),
        ({"  id": "APP-0001"}, "is not DOMAIN-NNN"),
        ({"  severity": None}, 'no "severity"'),
        ({"  severity": "dire"}, "severity 'dire' is not one of"),
        ({"  applies_to": None}, '"applies_to" in METADATA is not a list'),
        ({"  applies_to": "[]"}, '"applies_to" in METADATA is not a list'),
        ({"  applies_to": "deploy"}, '"applies_to" in METADATA is not a list'),
        ({"  applies_to": "[deploy, everything]"}, "'everything', which is no kind"),
        ({"  controls": None}, '"controls" in METADATA is not a list'),
        ({"  controls": "[1]"}, '"controls" in METADATA is not a list'),
        ({"  remediation": None}, 'no "remediation"'),
        ({"  effect": "allow"}, "effect 'allow' is not one of"),
        ({"  effect": "ignore"}, "effect 'ignore' is not one of"),
        ({"  effect": "no"}, 'no "effect"'),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_file_and_line(changed, message, meta):
    with pytest.raises(RuleError) as caught:
        read("# a note\n\n" + meta("APP-001", **changed) + RULE)
    assert message in str(caught.value)
    assert caught.value.where == "app/owner.rego:3"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (RULE, "app/owner.rego:1"),
        ("# METADATA\n# - a\n# - b\n" + RULE, "app/owner.rego:1"),
        ("# METADATA\n# title: A\n# custom: [\n" + RULE, "app/owner.rego:4"),
        ("# METADATA\n# title: A\n# custom: text\n" + RULE, "app/owner.rego:1"),
        ("#METADATA\n# title: A\n" + RULE, "app/owner.rego:1"),
    ],
)
def test_a_rule_without_a_readable_block_is_refused(text, where):
    with pytest.raises(RuleError) as caught:
        read(text)
    assert caught.value.where == where


def test_an_obligation_needs_its_type():
    block = "# METADATA\n# title: Label\n# custom:\n#   applies_to: [deploy]\n"
    with pytest.raises(RuleError, match='no "type"'):
        read(block + OBLIGATION)
    assert read(block + "#   type: header\n" + OBLIGATION).obligation_type == "header"


@pytest.mark.parametrize(
    "package", ["lib.x", "platform.lib.x", "platform.rules", "platform.rulesets.x", "tests.platform.rules.x"]
)
def test_other_packages_need_no_block(package):
    assert read(f"package {package}\n\nx := 1\n") is None


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("package a.b\n", "a.b"),
        ("# package c\n  package a.b # d\n", "a.b"),
        ('package a["b"]\n', "a.b"),
        ("package a.b;x := 1\n", "a.b"),
        ("package\n a.b\n", "a.b"),
        ("package a\nx := `\npackage b\n`\n", "a"),
    ],
)
def test_the_package_is_what_the_parser_reads(text, package):
    assert package_of(text, "f.rego") == package


@pytest.mark.parametrize("text", ["", "x := 1\n", "import data.a\npackage b\n", 'package "a"\n', "package a.\n"])
def test_a_file_without_a_package_is_refused(text):
    with pytest.raises(RuleError, match=r"f\.rego"):
        package_of(text, "f.rego")


def test_a_block_nested_without_end_is_an_error_with_its_line():
    with pytest.raises(RuleError, match=r"app/owner\.rego:2: METADATA is not YAML"):
        read("# METADATA\n# title: " + "[" * 100_000 + "\n" + RULE)
