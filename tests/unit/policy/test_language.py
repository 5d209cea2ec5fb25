"""What the language gained since the engine was written: template strings, `and` and `or`, the newer `not`.

Each answer is the one OPA 1.22.2 gives.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import RuleError
from governance.policy.eval import Failure, Question, evaluate
from governance.policy.rego.parser import parse_module

LOGIC = "import future.keywords.and\nimport future.keywords.or\n"


def value(text, document=None, *, v0=False):
    """`data.t.p`; None for undefined."""
    has_input = document is not None
    found = evaluate(
        Question("x = data.t.p", {"m.rego": f"package t\n{text}\n"}, input=document, has_input=has_input, v0=v0)
    )
    if isinstance(found, Failure):
        return found
    return found[0]["x"] if found else None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('$""', ""),
        ('$"plain"', "plain"),
        ('$"{1}, {13.37}, {true}, {null}, {"s"}"', "1, 13.37, true, null, s"),
        ('$"{[]} {[1, "a"]} {set()} {{2}} {{}} {{"a": "b"}}"', '[] [1, "a"] set() {2} {} {"a": "b"}'),
        (r'$"\{1} \\ \t\" {1 + 2}"', '{1} \\ \t" 3'),
        (r"$`\{1} \t {1 + 2}`", r"{1} \t 3"),
        ("$`one\ntwo {3}\n`", "one\ntwo 3\n"),
        ('$"{input.a} of {input.missing}"', "x of <undefined>"),
        ('$"{$"<{input.a}>"} {$`{$"{input.missing}"}`}"', "<x> <undefined>"),
        ('$"{[y | some y in ["a"]]} {{"}": "{"}}"', '["a"] {"}": "{"}'),
        ('$"{input.a with input.a as "y"}"', "y"),
    ],
)
def test_a_template_string_holds_the_values_of_its_expressions(template, text):
    assert value(f"p := {template}", {"a": "x"}) == text


def test_a_template_string_stands_where_any_value_may():
    assert value('p if not $"{input.a}" in {"x"}', {"a": "y"}) is True
    assert value('p if not $"{input.a}" in {"x"}', {"a": "x"}) is None
    assert value('p := [$"<{x}>" | some x in input.a]', {"a": [1, "b"]}) == ["<1>", "<b>"]
    assert value('p contains $"{x}" if some x in input.a', {"a": [1]}) == ["1"]


@pytest.mark.parametrize(
    "text", ['$"{x}"', '$"{', '$"{1', '$"{}"', '$"{1 2}"', '$"a\nb"', '$"\\q"', "$`{1}", "$1", '$"{"']
)
def test_a_template_string_that_is_none_does_not_load(text):
    assert isinstance(value(f"p := {text}"), Failure)


def test_a_fault_in_a_template_string_is_found_at_its_place():
    with pytest.raises(RuleError, match=r"m\.rego:3:16"):
        parse_module('package t\n\np := $"a b {1 +}"', "m.rego")


@given(st.text(alphabet='$"`{}\\a1 \n', max_size=40))
def test_no_text_with_templates_in_it_takes_the_reader_down(text):
    try:
        module = parse_module(f"package t\np := {text}", "m.rego")
    except RuleError:
        return
    assert module.package == ["t"]


@given(st.text(max_size=20))
def test_text_between_braces_comes_out_as_it_went_in(text):
    assert value(f'p := $"<{{{json.dumps(text, ensure_ascii=False)}}}>"') == f"<{text}>"


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("input.a and input.b", [({"a": 1, "b": 1}, True), ({"a": 1}, None), ({"a": 1, "b": False}, None)]),
        ("input.a or input.b", [({"b": 1}, True), ({}, None), ({"a": False, "b": 0}, True), ({"a": False}, None)]),
        ("input.a or input.b and input.c", [({"a": 1}, True), ({"b": 1}, None), ({"b": 1, "c": 1}, True)]),
        ("(input.a or input.b) and input.c", [({"a": 1}, None), ({"a": 1, "c": 1}, True), ({"c": 1}, None)]),
        ("{ x := input.a; x > 1 } and { x := input.b; x > 2 }", [({"a": 2, "b": 3}, True), ({"a": 2, "b": 2}, None)]),
        ("not input.a and not input.b", [({}, True), ({"b": 1}, None)]),
        ("input.a == 1 or input.a == 2 with input.a as 2", [({"a": 3}, True)]),
        ("{ input.a == 1 with input.a as 1 } and input.a == 5", [({"a": 5}, True), ({"a": 1}, None)]),
        ("(input.a + 1) * 2 == 6 and input.b", [({"a": 2, "b": 1}, True), ({"a": 2}, None)]),
        (
            'startswith(input.a, "x") or not endswith(input.b, "y")',
            [({"a": "x"}, True), ({"b": "z"}, True), ({}, None)],
        ),
        ("input.a[_] > 3 and input.a[_] < 2", [({"a": [1, 4]}, True), ({"a": [4]}, None)]),
        ("every n in input.a { n > 0 and n < 9 or n == 20 }", [({"a": [1, 20]}, True), ({"a": [1, 10]}, None)]),
    ],
)
def test_and_and_or_join_statements(body, inputs):
    assert [value(f"{LOGIC}p if {body}", document) for document, _ in inputs] == [wanted for _, wanted in inputs]
    assert [value(f"{LOGIC}p if {{ {body} }}", document) for document, _ in inputs] == [wanted for _, wanted in inputs]


def test_what_an_operand_binds_stays_inside_it():
    assert value(f"{LOGIC}p := x if {{ x := -1; {{ x := 1; x > 0 }} and {{ x := 2; x > 1 }} }}") == -1
    assert isinstance(value(f"{LOGIC}p := x if {{ x = 1 and true }}"), Failure)


def test_without_their_import_and_and_or_are_names():
    assert value("p := and(input.a, {1})", {"a": [1]}) is not True
    assert isinstance(value("p if input.a and input.b", {"a": 1, "b": 1}), Failure)
    assert value("import rego.v2\np if input.a and input.b or false", {"a": 1, "b": 1}) is True


@pytest.mark.parametrize(
    "body",
    ["{1 | 2} and true", "true and", "and true", "true or or true", "true and {1, 2}", "{} and true", "{1, 2} or true"],
)
def test_operands_that_could_be_read_two_ways_or_not_at_all_do_not_load(body):
    assert isinstance(value(f"{LOGIC}p if {body}"), Failure)


@pytest.mark.parametrize(("imports", "is_true"), [("import future.keywords", True), ("import future.keywords.not", True),
                                                 ("import rego.v2", True), ("import rego.v1", None),
                                                 ("import future.keywords.in", None), ("", None)])  # fmt: skip
def test_what_not_means_depends_on_the_import(imports, is_true):
    """Importing all keywords brings the newer `not`: a rule that should deny without an input would otherwise be silent."""
    assert value(f'{imports}\np if not startswith(input.missing, "x")', {}) is is_true
    head = "p if" if "v1" in imports or "v2" in imports else "p"
    if imports and head == "p" and "not" not in imports and imports != "import future.keywords.in":
        assert value(f'{imports}\np {{ not startswith(input.missing, "x") }}', {}, v0=True) is is_true


def test_the_default_of_a_function_with_a_dotted_name_is_kept():
    rules = "default risk.of(_) := 9\nrisk.of(x) := 1 if x == 1\np := [risk.of(1), risk.of(2), data.t.risk.of(3)]"
    assert value(rules) == [1, 9, 9]
    mocked = "default risk.of(_) := 9\nrisk.of(x) := 1 if x == 1\np := x if x := risk.of(1) with data.t.risk.of as 5"
    assert value(mocked) == 5


@pytest.mark.parametrize("target", ["of", "data.t.of", "data.u.other"])
def test_a_function_that_is_replaced_is_replaced_however_it_is_called(target):
    """Only calls written as the `with` writes it were, so that a test was about something else than it said."""
    modules = {
        "t.rego": "package t\nimport data.u\nof(x) := x\nq := of(1) + data.t.of(2) + u.other(3)\n"
        f"p := x if x := q with {target} as 50\n",
        "u.rego": "package u\nother(x) := x\n",
    }
    found = evaluate(Question("x = data.t.p", modules))
    assert found == [{"x": 53 if "other" in target else 103}]
