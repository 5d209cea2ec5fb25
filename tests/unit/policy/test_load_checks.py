"""What is refused when a policy is loaded, with OPA's verdict on each statement as literals (OPA 1.22.2)."""

import re

import pytest

from governance.errors import RuleError
from governance.policy.compiler.checks import CompileError, UnknownFunction
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.compiler.recursion import Recursion
from governance.policy.compiler.safety import UnsafeVariable

HELPERS = """package t

f(x) if x > 0
g(x) := x + 1
r contains v if some v in [1, 2]
rr[x] := y if some x, y in input.a
obj := {"a": 1}
"""
UNSAFE = [
    ("x == 1", "x"),
    ("not x", "x"),
    ("not input.a[_]", "_"),
    ("not input.a[_] == 1", "_"),
    ('not startswith(input.a[_], "x")', "_"),
    ("not f(input.a[i])", "i"),
    ("some x; not input.a[x]", "x"),
    ("some x; input.b; not input.a[x]", "x"),
    ("every v in input.a { v > w }", "w"),
    ("every v in input.a { v > w }; w := 1", "w"),
    ("every v in [x] { v > 1 }", "x"),
    ("c := [z | z := q]", "q"),
    ("c := {z: q | z := 1}", "q"),
    ("c := [z | z = input.a[_]; z > q]; q := 1", "q"),
    ('split(t, ".", parts); count(parts) > 0', "t"),
    ("{x} = {1}", "x"),
    ("x in [1, 2]", "x"),
    ("some x in [y]; x > 1", "y"),
    ("input.a[x] == y", "y"),
    ("x = y", "x"),
    ("x = g(y)", "y"),
    ("g(x) = 2", "x"),
    ("x.y == 1", "x"),
    ("_ == 1", "_"),
    ("n == count(input.a) + m; m = k", "n"),
    ("{x | x := 1}[y] == z", "z"),
    ("x = [y | y = x]", "x"),
    ("a = [y | y = b]; b = [z | z = a]", "b"),
    ("not count({x | y[x]}) > 0", "y"),
    ("input.a with input as x", "x"),
    ("x + 1 = 2", "x"),
    ("every v in input.a { v > 0 }; not rr[v]", "v"),
]
SAFE = [
    "y > 0; y = 1",
    "not f(g(input.a[i]))",
    "not input.a[x]; x = 1",
    "some x; input.a[x]; not input.b[x]",
    "c := [z | z = input.a[_]; z > q]; q = 1",
    "c := [z | z = input.a[k]]; k = 0",
    "c := [g(input.a[i]) | true]",
    "c := [input.a[i] | true]",
    'split(input.s, ".", parts); count(parts) > 0',
    "walk(input, [p, v]); p == []; v",
    "[x, y] = [1, z]; z = 3; x < y",
    '{"k": x} = input.o; x > 0',
    '{"a": x, "b": y} = {"a": y, "b": 2}; x == y',
    "some i, x in input.a; i < x",
    "some [a, b] in input.a; a < b",
    "input.a[x] = y; y > 1",
    "x = y; y = x; x = 1",
    "g(1, y); y == 2",
    "x := input; x.y = z; z > 0",
    "input.a[input.b[x]] = 2",
    "s := {[1, 2]}; s[[x, 2]]; x > 0",
    "x = {y | y = input.a[_]}; count(x) > 0",
    "rr[x] = 1; x",
    "every v in input.a { v[j] > 0 }; input.q[j]",
    "every v in input.a { some j; v[j] > 0 }",
    "y := {x | r[x]}; x := count(y); x > 0",
    "input.a with input as {}",
    "count([1]) == 9 with count as g",
]


def load(text):
    return compile_policy([Module("m.rego", text)])


@pytest.mark.parametrize(("body", "variable"), UNSAFE, ids=[body for body, _ in UNSAFE])
def test_a_variable_without_a_value_is_refused_with_its_place(body, variable):
    with pytest.raises(UnsafeVariable) as caught:
        load(f"{HELPERS}main if {{\n\tinput.x\n\t{body}\n}}\n")
    assert caught.value.code == "rego_unsafe_var_error"
    assert re.search(rf"\bvars? (\w+, )*{variable}(, \w+)* (is|are) unsafe", str(caught.value))
    assert caught.value.where.startswith("m.rego:10:")


@pytest.mark.parametrize("body", SAFE)
def test_statements_in_any_order_are_safe_when_one_binds_for_the_next(body):
    load(f"{HELPERS}main if {{\n\tinput.x\n\t{body}\n}}\n")


@pytest.mark.parametrize(
    "rule",
    [
        "p := x",
        "p contains x if true",
        "p[x] := y if input.a[x]",
        "p := [x | x = y]",
        "p(x) := y",
        "p := 1 if input.a else := x",
        "p(x) := x if x == y",
        "p(input.a) := 1",
    ],
)
def test_a_head_with_a_variable_that_its_body_does_not_bind_is_refused(rule):
    with pytest.raises(UnsafeVariable):
        load(f"package t\n\n{rule}\n")


@pytest.mark.parametrize(
    "rule",
    [
        "p := input.a[_]",
        "p contains input.a[i]",
        "p[x] := 1 if input.a[x]",
        "p([x, y]) := x + y",
        'p({"a": x}) := x',
        "p := 1 if input.a else := x if x := 2",
        "p[x].y contains z if { x := 1; z := 2 }",
        "default p := [1 | true]",
    ],
)
def test_a_head_whose_variables_are_bound_is_accepted(rule):
    load(f"package t\n\n{rule}\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("not x == 1; x := 2", "var x referenced above"),
        ("z := g(y); y := 1; z", "var y referenced above"),
        ("every v in xs { v > 0 }; xs := [1]", "var xs referenced above"),
        ("x := input.a; x := 2", "var x declared above"),
        ("x := input.a; some x in [1]", "var x declared above"),
    ],
)
def test_a_name_is_declared_once_and_before_its_use(body, message):
    with pytest.raises(CompileError, match=message):
        load(f"{HELPERS}main if {{ {body} }}\n")


@pytest.mark.parametrize("value", ["x", "input.a", "count([1])", '{"a": input.a}'])
def test_a_default_that_needs_evaluation_is_refused(value):
    with pytest.raises(CompileError, match="default"):
        load(f"package t\n\ndefault p := {value}\n")


@pytest.mark.parametrize(
    "rules",
    [
        "p := p",
        "p if not p",
        "p contains x if p[x]",
        "p := data.t.p",
        "p := data.t",
        "p if { some k; data.t[k] }",
        "p(x) := p(x)",
        "p := q\nq := p",
        "p if not q\nq if not r\nr if not p",
        "p.a := p.b\np.b := p.a",
        "p := [q | true]\nq := {p}",
        "p if every x in [1] { q }\nq if p",
    ],
)
def test_a_rule_that_needs_itself_is_refused(rules):
    with pytest.raises(Recursion, match="is recursive") as caught:
        load(f"package t\n\n{rules}\n")
    assert caught.value.code == "rego_recursion_error"
    assert re.fullmatch(r"m\.rego:\d+:1", caught.value.where)


def test_recursion_through_imports_and_other_files_is_refused():
    one = Module("one.rego", "package one\n\nimport data.two\n\np if two.q\n")
    two = Module("two.rego", "package two\n\nimport data.one.p as back\n\nq if back\n")
    with pytest.raises(Recursion, match=r"one\.p -> two\.q -> one\.p|two\.q -> one\.p -> two\.q"):
        compile_policy([one, two])


@pytest.mark.parametrize(
    "rules",
    [
        "p := [p | p := 1]",
        "p := input.p",
        "p if { some p in [1]; p > 0 }\nq := p",
        "p := data.other.p",
        'p := 1 if q\nq contains p if some p in ["a"]',
        "p(q) := q\nq := p(1)",
        "p := q\nq := r\nr := input.p",
    ],
)
def test_a_name_that_only_looks_like_the_rule_is_no_recursion(rules):
    load(f"package t\n\n{rules}\n")


def test_a_long_chain_of_rules_is_no_recursion():
    chain = "\n".join(f"p{n} if p{n + 1}" for n in range(3_000))
    load(f"package t\n\n{chain}\np3000 if input.a\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p := nosuch(1)", "undefined function nosuch"),
        ("p := data.other.f(1)", "undefined function data.other.f"),
        ('p := startswith("a")', "startswith takes 2 arguments, 1 given"),
        ("p := count(1, 2, 3)", "count takes 1 arguments, 3 given"),
    ],
)
def test_a_function_that_does_not_exist_is_refused_by_name(text, message):
    with pytest.raises(UnknownFunction, match=re.escape(message)) as caught:
        load(f"package t\n\n{text}\n")
    assert caught.value.where == "m.rego:3:6"


def test_functions_of_other_files_are_known_by_their_import():
    other = Module("o.rego", "package lib.o\n\nf(x) := x\n")
    user = Module(
        "u.rego", "package u\n\nimport data.lib.o\nimport data.lib.o.f as h\n\np := [o.f(1), h(2), data.lib.o.f(3)]\n"
    )
    compile_policy([other, user])


@pytest.mark.parametrize("rules", ["p := 1\np(x) := x", "p contains 1\np := 2"])
def test_one_name_is_one_kind_of_rule(rules):
    with pytest.raises(CompileError):
        load(f"package t\n\n{rules}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "package",
        "package t\n\np if {",
        'package t\n\np := "\\q"',
        "package t\n\nallow { true }",
        "package t\n\np if",
        "package t\np := 1 2",
        "package t\n" + "p := " + "[" * 500,
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(text):
    with pytest.raises(RuleError) as caught:
        load(text)
    assert caught.value.where.startswith("m.rego")


def test_a_rule_that_starts_with_a_keyword_lies_where_opa_puts_it():
    from governance.policy.eval import Question, evaluate

    text = "package t\n\nleast := 3\n\nif.allowed if input.n > least\n\nif.limit := least + 1\n\nmain if if.allowed\n"
    for query, value in (("data.t.if.allowed", True), ('data.t["if"].limit', 4), ("data.t.main", True)):
        question = Question(f"x := {query}", {"t.rego": text}, None, {"n": 5}, has_input=True)
        assert evaluate(question) == [{"x": value}]
    below = Question("x := data.t.main", {"t.rego": text}, None, {"n": 2}, has_input=True)
    assert evaluate(below) == []
