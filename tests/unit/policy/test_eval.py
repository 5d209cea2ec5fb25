"""`rules eval`: any query, compiled as the service would; results as OPA 1.22.2 gives them."""

import pytest

from governance.policy.eval import Failure, Question, evaluate, has_value

MODULES = {"m.rego": "package t\n\np contains x if some x in input.a\n\nq := 1\n\nr if not input.user.banned\n"}


def ask(query, document=None, **others):
    has_input = document is not None
    return evaluate(Question(query, others.pop("modules", MODULES), input=document, has_input=has_input, **others))


@pytest.mark.parametrize(
    ("query", "document", "bindings"),
    [
        ("x := data.t.q", None, [{"x": 1}]),
        ("data.t.p[x]", {"a": [1, 2]}, [{"x": 1}, {"x": 2}]),
        ("x := input.a; y := count(x)", {"a": [1]}, [{"x": [1], "y": 1}]),
        ("some x in input.a; x > 1", {"a": [1, 2]}, [{"x": 2}]),
        ("data.t.r", {}, [{}]),
        ("data.t.r", {"user": {"banned": True}}, []),
        ("not data.t.r", {"user": {"banned": True}}, [{}]),
        ("data.t.nothing", {}, []),
        ("input.a", None, []),
        ('not startswith(input.user, "x-")', {}, []),
        ("input.a[_] = x", {"a": [3]}, [{"x": 3}]),
        ("x := [y | y := input.a[_]]", {"a": [1, 2]}, [{"x": [1, 2]}]),
        ("data.k.v = x", None, [{"x": 7}]),
        ("1 == 2", None, []),
    ],
)
def test_a_query_gives_its_bindings(query, document, bindings):
    found = ask(query, document, data={"k": {"v": 7}})
    assert sorted(found, key=str) == bindings


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("x", "rego_unsafe_var_error"),
        ("not input.a[_] == 1", "rego_unsafe_var_error"),
        ("nosuch(1)", "rego_type_error"),
        ("count(1, 2, 3)", "rego_type_error"),
        ("x :=", "rego_parse_error"),
        ("}", "rego_parse_error"),
        ("true; }\n\nallow if { true", "rego_parse_error"),
        ("", "rego_parse_error"),
    ],
)
def test_a_query_that_cannot_run_says_why_in_opas_codes(query, code):
    found = ask(query, {})
    assert isinstance(found, Failure)
    assert found.code == code


def test_a_module_that_cannot_load_fails_the_query():
    assert ask("1 == 1", modules={"m.rego": "package t\n\np := p\n"}).code == "rego_recursion_error"
    assert ask("1 == 1", modules={"m.rego": "package t\n\np := x\n"}).code == "rego_unsafe_var_error"


def test_several_values_of_one_rule_are_a_conflict():
    found = ask("data.t.p = x", {}, modules={"m.rego": "package t\n\np := x if some x in [1, 2]\n"})
    assert (isinstance(found, Failure), found.code) == (True, "eval_conflict_error")


def test_a_builtin_error_is_an_error_where_it_was_asked_for():
    found = ask("x := to_number(input.a)", {"a": "abc"}, strict=True)
    assert (isinstance(found, Failure), found.code) == (True, "eval_builtin_error")


def test_v0_is_read_as_v0_when_told():
    old = {"m.rego": "package t\n\np[x] { x := input.a[_] }\n\ndeny { not input.ok }\n"}
    assert ask("data.t.p[x]", {"a": [1]}, modules=old, v0=True) == [{"x": 1}]
    assert ask("data.t.deny", {}, modules=old, v0=True) == [{}]
    assert isinstance(ask("data.t.deny", {}, modules=old), Failure)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("data.t.q", True),
        ("1 + 1", True),
        ("input.a == 1", True),
        ("x := 1", False),
        ("not data.t.q", False),
        ("some x in [1]", False),
        ("1; 2", False),
        ("input.a with input as {}", False),
        ("}", False),
    ],
)
def test_only_a_plain_expression_has_a_value_of_its_own(query, wanted):
    assert has_value(query, is_v0=False) is wanted
