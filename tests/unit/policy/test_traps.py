"""Traps of the engine: where it answers differently from OPA as shipped, each held to the answer that OPA 1.22.2 gives.

Every rule here runs on the interpreter and, where the compiler lets it, on the fast executor.
"""

import json
import re
import threading
from functools import cache

import pytest

from governance.errors import InternalError, NoAnswer, RuleError
from governance.policy.builtins.registry import extensions
from governance.policy.compiler.checks import UnknownFunction
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.compiler.safety import UnsafeVariable
from governance.policy.engine import Engine

DATA = {
    "d": {
        "tbl": {"x": {"z": 1}, "y": {"z": False}, "w": {}},
        "list": ["x", "y"],
        "users": {"ann": {"n": 1}, "bob": {"n": 2, "disabled": True}},
    }
}
HELPERS = {
    "f": 'f(x) if startswith(x, "x-")',
    "fid": "fid(x) := x",
    "helper": 'helper if input.a == "x"',
    "helper2": 'helper2 := input.a if input.a != "zz"',
    "part": "part contains input.a",
    "pobj": "pobj[input.a] := 1",
    "pobj2": 'pobj2 := {"k": input.a, "z": 1}',
    "els": 'els := 1 if input.a == "x" else := 2 if input.b else := 3 if not f(input.a)',
    "defd": "default defd := false\ndefd if not f(input.a)",
    "fdef": 'default fdef(_) := 7\nfdef(x) := 8 if not startswith(x, "x")',
    "felse": "felse(x) := 3 if not f(x) else := 4",
    "neg2": "neg2(x) if not f(x)",
    "fbool": 'fbool(x) := x == "x"',
    "memb": 'memb := input.a in ["x"]',
    "chain_1": "chain_1 := x if { x := input.a }",
    "chain_2": "chain_2 := x if { x := chain_1 }",
    "chain": 'chain if { not chain_2 == "x" }',
}
INPUTS = ({}, *({"a": value} for value in (None, False, 0, "", "x", ["x"], {"b": "x"}, [], {})))
EXECUTORS = ("interpreter", "rvm")

# What OPA says of `main if { <rule> }` for each of INPUTS, by default and with strict builtin errors:
# T true, - undefined, E error.
SHAPES = [
    ('not startswith(input.a, "x-")', "-TTTTTTTTT", "-EEETTEEEE"),
    ('not lower(input.a) == "x"', "----T-----", "-EEET-EEEE"),
    ('not contains(lower(input.a), "x")', "----T-----", "-EEET-EEEE"),
    ('not contains(input.a.b, "x")', "----------", "----------"),
    ("not f(input.a)", "-TTTTTTTTT", "-EEETTEEEE"),
    ("not input.a", "T-T-------", "T-T-------"),
    ("not input.a.b", "TTTTTTT-TT", "TTTTTTT-TT"),
    ('not input.a == "x"', "TTTTT-TTTT", "TTTTT-TTTT"),
    ('not input.a != "x"', "-----T----", "-----T----"),
    ("not input.a > 1", "-TTT------", "-TTT------"),
    ('not input.a in ["x"]', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('not "x" in input.a', "-TTTTT--TT", "-TTTTT--TT"),
    ("not d.tbl[input.a]", "-TTTT-TTTT", "-TTTT-TTTT"),
    ("not d.tbl[input.a].z", "-TTTT-TTTT", "-TTTT-TTTT"),
    ("not data.d.missing[input.a]", "-TTTTTTTTT", "-TTTTTTTTT"),
    ("not helper", "TTTTT-TTTT", "TTTTT-TTTT"),
    ("not data.t.helper", "TTTTT-TTTT", "TTTTT-TTTT"),
    ("not d.nope", "TTTTTTTTTT", "TTTTTTTTTT"),
    ("not f(d.nope)", "----------", "----------"),
    ("not f(helper2)", "-TTTTTTTTT", "-EEETTEEEE"),
    ("not count(input.a) > 1", "----TTTTTT", "-EEETTTTTT"),
    ("not count([x | some x in input.a]) > 0", "TTTTTT--TT", "TTTTTT--TT"),
    ("not count([1 | not f(input.a)]) == 1", "T---------", "TEEE--EEEE"),
    ('not [input.a] == ["x"]', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('not {"k": input.a} == {"k": "x"}', "-TTTT-TTTT", "-TTTT-TTTT"),
    ("not input.a + 1 == 2", "---T------", "-EETEEEEEE"),
    ("not is_string(input.a)", "-TTT--TTTT", "-TTT--TTTT"),
    ('not f(input.a) with input as {"a": "y"}', "TTTTTTTTTT", "TTTTTTTTTT"),
    ("not f(input.b) with input.b as input.a", "-TTTTTTTTT", "-EEETTEEEE"),
    ('not helper with input.a as "x"', "----------", "----------"),
    ("u := input.a; not u", "--T-------", "--T-------"),
    ("u := d.tbl[input.a]; not u.z", "----------", "----------"),
    ('u := lower(input.a); u != "x"', "----T-----", "-EEET-EEEE"),
    ("u := input.a + 1; u != 2", "---T------", "-EETEEEEEE"),
    ('u := concat("", [input.a, "z"]); u != "xz"', "----T-----", "-EEET-EEEE"),
    ('u := {"k": input.a}; u.k != "x"', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('u := [input.a]; u[0] != "x"', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('u := [v | some v in input.a]; not "x" in u', "TTTTTT--TT", "TTTTTT--TT"),
    ("u := {input.a | true}; count(u) == 0", "T---------", "T---------"),
    ('u := (input.a == "x"); not u', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('u := input.a in ["x"]; not u', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('u := {"k": input.a in ["x"]}; not u.k', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('fid(input.a in ["x"]) == false', "-TTTT-TTTT", "-TTTT-TTTT"),
    ('input.a == "x"', "-----T----", "-----T----"),
    ('input.a != "x"', "-TTTT-TTTT", "-TTTT-TTTT"),
    ("input.a == false", "--T-------", "--T-------"),
    ("input.a == null", "-T--------", "-T--------"),
    ('input.a < "x"', "-TTTT-----", "-TTTT-----"),
    ('input.a[_] != "x"', "----------", "----------"),
    ("input.a == input.b", "----------", "----------"),
    ("input.a != input.b", "----------", "----------"),
    ('input.a in ["x", null, false]', "-TT--T----", "-TT--T----"),
    ("some v in input.a; not v", "----------", "----------"),
    ('some v in input.a; v != "x"', "----------", "----------"),
    ('some v in [input.a]; v != "x"', "-TTTT-TTTT", "-TTTT-TTTT"),
    ("some k, v in input.a; k != v", "------TT--", "------TT--"),
    ('"x", "y" in input.a', "----------", "----------"),
    ('every v in input.a { v == "x" }', "------TTTT", "------TTTT"),
    ('every v in input.a { not startswith(v, "x") }', "--------TT", "--------TT"),
    ("every v in d.list { v != input.a }", "-TTTT-TTTT", "-TTTT-TTTT"),
    ("every v in d.list { not startswith(input.a, v) }", "-TTTT-TTTT", "-EEET-EEEE"),
    ("every v in [1, 2] { u := input.a; u != v }", "-TTTTTTTTT", "-TTTTTTTTT"),
    ('every v in [input.a] { v != "x" }', "-TTTT-TTTT", "-TTTT-TTTT"),
    ("count([1 | input.a]) == 0", "T-T-------", "T-T-------"),
    ("count([1 | not f(input.a)]) == 1", "-TTTTTTTTT", "-EEETTEEEE"),
    ('count({v | some v in input.a; not v == "x"}) == 0', "TTTTTTTTTT", "TTTTTTTTTT"),
    ('{1 | input.a != "x"} == set()', "T----T----", "T----T----"),
    ("count(part) == 0", "T---------", "T---------"),
    ("count(pobj) == 0", "T---------", "T---------"),
    ('pobj2.k != "x"', "-TTTT-TTTT", "-TTTT-TTTT"),
    ("not pobj2.z", "T---------", "T---------"),
    ("defd == false", "T---------", "TEEE--EEEE"),
    ("not defd", "T---------", "TEEE--EEEE"),
    ("fdef(input.a) == 7", "-----T----", "-EEE-TEEEE"),
    ("felse(input.a) == 3", "-TTTTTTTTT", "-EEETTEEEE"),
    ("els == 3", "-TTTT-TTTT", "-EEET-EEEE"),
    ("not neg2(input.a)", "----------", "-EEE--EEEE"),
    ("fbool(input.a) == false", "-TTTT-TTTT", "-TTTT-TTTT"),
    ("chain", "TTTTT-TTTT", "TTTTT-TTTT"),
    ("not memb", "TTTTT-TTTT", "TTTTT-TTTT"),
    ('object.get(input, "a", false) == false', "T-T-------", "T-T-------"),
    ('object.get(input.a, "b", 1) == 1', "---------T", "-EEEEEE-ET"),
    ("input.a with input.a as 1", "TTTTTTTTTT", "TTTTTTTTTT"),
    ("not input.a with input as {}", "TTTTTTTTTT", "TTTTTTTTTT"),
    ("to_number(input.a) >= 0", "-TTT------", "-TTTEEEEEE"),
    ("not to_number(input.a) >= 0", "----------", "----EEEEEE"),
]


def module(text):
    """`text` with the helpers that it names, and those that they name."""
    named: dict[str, str] = {}
    waiting = [text]
    while waiting:
        now = waiting.pop()
        for name, rule in HELPERS.items():
            if name not in named and re.search(rf"(?<![.\w])(data\.t\.)?{name}\b", now):
                named[name] = rule
                waiting.append(rule)
    return "\n".join(["package t", "import data.d", *named.values(), text, ""])


@cache
def engine(text, executor, *, strict=False):
    """An engine for module `text`; None where the fast executor may not serve it."""
    compiled = compile_policy([Module("m.rego", text)], data=DATA, entrypoints=["data.t.main"], strict=strict)
    if executor == "rvm" and not compiled.fast:
        return None
    served = compiled if executor == "rvm" else compiled._replace(fast=())
    return Engine(served, {name: extensions()[name] for name in compiled.needs})


def answer(text, document, executor="interpreter", *, strict=False):
    """JSON value of `main`, UNDEFINED or ERROR; None where this executor may not serve it."""
    served = engine(module(text), executor, strict=strict)
    if served is None:
        return None
    try:
        found = served.rule("data.t.main", None if document is NO_INPUT else json.dumps(document)).text
    except NoAnswer:
        return ERROR
    return UNDEFINED if found is None else ("value", json.loads(found))


UNDEFINED, ERROR, NO_INPUT = ("undefined",), ("error",), object()
TRUE = ("value", True)
LETTERS = {TRUE: "T", UNDEFINED: "-", ERROR: "E"}


def both(text, document, *, strict=False):
    """The answers of every executor that may serve `text`: one, when they agree."""
    found = [answer(text, document, executor, strict=strict) for executor in EXECUTORS]
    return found[0] if found[1] in (None, ERROR) or found[0] == found[1] else found


def row(rule, executor, *, strict):
    answers = [answer(f"main if {{ {rule} }}", document, executor, strict=strict) for document in INPUTS]
    return None if answers[0] is None else "".join(LETTERS.get(a, "?") for a in answers)


def never_more(wanted, got, may_fail):
    """Cell by cell: what OPA says, or an error where one is expected."""
    return all(g == w or (g == "E" and may) for w, g, may in zip(wanted, got, may_fail, strict=True))


@pytest.mark.parametrize(("rule", "by_default", "strict"), SHAPES, ids=[row[0] for row in SHAPES])
def test_shape_matrix_on_the_interpreter(rule, by_default, strict):
    # Iterating a scalar is an error of the engine where OPA has nothing to iterate: that fails closed.
    loops = "some" in rule
    got = row(rule, "interpreter", strict=True)
    assert never_more(strict, got, [loops or cell == "E" for cell in strict])
    assert not any(g != "E" for w, g in zip(strict, got, strict=True) if w == "E")
    assert never_more(by_default, row(rule, "interpreter", strict=False), [loops] * len(strict))


@pytest.mark.parametrize(("rule", "by_default", "strict"), SHAPES, ids=[row[0] for row in SHAPES])
def test_shape_matrix_on_the_fast_executor(rule, by_default, strict):
    got = row(rule, "rvm", strict=False)
    if got is None:
        assert any(word in rule for word in ("with", "pobj", "fdef", '"x", "y" in')), "eligible before, and not now"
        return
    assert never_more(by_default, got, ["some" in rule] * len(strict))


def test_most_shapes_are_served_by_the_fast_executor():
    assert sum(row(rule, "rvm", strict=False) is not None for rule, _, _ in SHAPES) > 70


# -- 1: an undefined argument under `not` --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        'not startswith(input.user, "x-")',
        'not contains(lower(input.user.name), "x")',
        "not banned(input.user)",
        'not regex.match("^x", input.user)',
    ],
)
def test_trap_1_a_negated_call_of_a_missing_value_does_not_allow(rule):
    assert both(f'banned(u) if startswith(u, "x-")\nmain if {rule}', {}) == UNDEFINED


def test_trap_1_a_negated_lookup_by_a_missing_key_does_not_allow():
    assert both("main if not data.d.tbl[input.key]", {}) == UNDEFINED
    assert both("main if not data.d.tbl[input.key]", {"key": "nobody"}) == TRUE
    assert both("main if not data.d.tbl[input.key]", {"key": "x"}) == UNDEFINED


def test_trap_1_a_negated_rule_is_not_lifted():
    assert both("main if not helper", {}) == TRUE
    assert both("main if not helper", {"a": "x"}) == UNDEFINED


# -- 2: `:=` of something undefined --------------------------------------------------------------------------------

UNKNOWN_USER = "main if { u := data.d.users[input.u]; not u.disabled }"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("name", "wanted"), [("nobody", UNDEFINED), ("bob", UNDEFINED), ("ann", TRUE), (None, UNDEFINED)]
)
def test_trap_2_an_unknown_user_is_not_an_enabled_one(name, wanted, executor):
    assert answer(UNKNOWN_USER, {"u": name}, executor) == wanted


@pytest.mark.parametrize(
    "rule",
    [
        "main if g(input.u)\ng(u) if { v := u.name; not v == 1 }",
        "main if g(input.u) == true\ng(u) := w if { v := u.name; w := v != 1 }",
        "main if every x in [1] { v := input.u.name; v != x }",
        "main if count([1 | v := input.u.name; not v == 1]) == 1",
        "main if { v := input.u + 1; not v == 5 }",
        'main if { v := concat("", [input.u, "x"]); not v == "y" }',
        "main if { v := [input.u]; not v[0] == 1 }",
        "main if { some v in [input.u]; not v == 1 }",
        "main if { v := {input.u: 1}; not v.k }",
    ],
)
def test_trap_2_an_assignment_of_undefined_ends_the_body(rule):
    assert both(rule, {}) == UNDEFINED


def test_trap_2_a_partial_set_holds_no_phantom():
    assert both("main contains input.a\nmain contains 1", {}) == ("value", [1])
    assert both('main contains {"path": input.a}\nmain contains 1', {}) == ("value", [1])


# -- 3: limits of the fast executor --------------------------------------------------------------------------------


def test_trap_3_beyond_its_instructions_the_interpreter_answers():
    served = engine("package t\nmain := sum([1 | some x in numbers.range(1, 30000)])\n", "rvm")
    found = served.rule("data.t.main", "{}")
    assert (found.text, found.executor) == ("30000", "interpreter")


@pytest.mark.parametrize(
    ("rule", "document", "value"),
    [
        ('main := v if { v := input.a with input as {"a": 5} }', {"a": 1}, 5),
        ("main := v if { v := count([1, 2]) with count as fid2 }\nfid2(_) := 9", {}, 9),
        ("main := w\nw contains p if walk(input, [p, 1])", {"a": [1]}, [["a", 0]]),
        ('r[k] := v if { some k in ["a", "b"]; v := input[k] }\nmain := r', {"a": 1}, {"a": 1}),
        ('main["k"] := 2\nmain[input.a] := 1', {}, {"k": 2}),
    ],
)
def test_trap_3_what_it_cannot_do_is_the_interpreters(rule, document, value):
    assert answer(rule, document, "rvm") in (None, ("value", value))
    assert answer(rule, document) == ("value", value)


def test_trap_3_the_key_of_a_keyed_membership_counts():
    assert both('main if "x", "y" in input.a', {"a": ["y"]}) == UNDEFINED
    assert both('main if 0, "y" in input.a', {"a": ["y"]}) == TRUE


def test_trap_3_the_default_of_a_function_is_taken():
    rule = 'default g(_) := false\ng(x) if x == "x"\nmain := g(input.a)'
    assert both(rule, {"a": "z"}) == ("value", False)
    assert both(rule, {}) == UNDEFINED


# -- 4: builtin errors ---------------------------------------------------------------------------------------------

FAILING = [
    ("to_number(input.a) >= 0", {"a": "abc"}),
    ("1 / input.a == 1", {"a": 0}),
    ("input.a % 0 == 0", {"a": 5}),
    ('upper(input.a) == ""', {"a": 1}),
    ("count(input.a) == 0", {"a": 7}),
    ("json.unmarshal(input.a) == 1", {"a": "{"}),
    ("io.jwt.decode(input.a)", {"a": "x"}),
    ('net.cidr_contains("10.0.0.0/8", input.a)', {"a": "x"}),
]


@pytest.mark.parametrize(("rule", "document"), FAILING)
def test_trap_4_strict_a_builtin_error_is_no_answer(rule, document):
    assert answer(f"main if {{ {rule} }}", document, strict=True) == ERROR
    assert answer(f"main if {{ not {rule} }}", document, strict=True) == ERROR


@pytest.mark.parametrize(("rule", "document"), FAILING)
def test_trap_4_a_builtin_error_never_reads_as_true(rule, document):
    assert both(f"main if {{ {rule} }}", document) == UNDEFINED


def test_trap_4_strictness_is_asked_for_on_the_fast_executor_too():
    assert answer("main := upper(input.a)", {"a": 1}, "rvm", strict=True) == ERROR


# -- 5: panics and threads -----------------------------------------------------------------------------------------


def test_trap_5_what_panics_in_the_engine_is_answered_as_opa_does_or_not_at_all():
    assert both('main := strings.count("abc", input.s)', {"s": ""}) in (("value", 4), ERROR)
    assert both('main := strings.count("abc", input.s)', {"s": "a"}) == ("value", 1)


def test_trap_5_a_panic_is_no_answer_and_the_engine_serves_on():
    text = 'package t\nmain := strings.count("abc", input.s)\n'
    served = Engine(compile_policy([Module("m.rego", text)], strict=True))  # without the builtins of ours
    with pytest.raises(NoAnswer, match="panicked"):
        served.rule("data.t.main", '{"s": ""}')
    assert served.rule("data.t.main", '{"s": "a"}').text == "1"


def test_trap_5_another_thread_is_refused():
    served = engine("package t\nmain := 1\n", "interpreter")
    raised = []

    def ask():
        for call in (
            lambda: served.rule("data.t.main", "{}"),
            lambda: served.query("data.t.main", "{}"),
            lambda: served.compare("data.t.main", "{}"),
        ):
            try:
                call()
            except InternalError as error:
                raised.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(raised) == 3
    assert all("another thread" in text for text in raised)
    assert served.rule("data.t.main", "{}").text == "1"


# -- 6: undefined, and how values come back ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("main := input.a", UNDEFINED),
        ("main := null", ("value", None)),
        ("main := false", ("value", False)),
        ("main if false", UNDEFINED),
        ("main := []", ("value", [])),
        ('main := ""', ("value", "")),
    ],
)
def test_trap_6_undefined_is_neither_false_nor_null(rule, wanted):
    assert both(rule, {}) == wanted


def test_trap_6_the_text_undefined_is_a_text():
    assert both("main := input.a", {"a": "<undefined>"}) == ("value", "<undefined>")


def test_trap_6_sets_of_objects_come_back_as_json():
    assert both('main contains x if some x in [{"a": 1}, {"a": 1}, [1]]', {}) == ("value", [[1], {"a": 1}])


@pytest.mark.parametrize("path", ["data.t.nosuch", "data.nosuch.main", "not a path", ""])
def test_trap_6_a_path_that_names_no_rule_is_no_answer(path):
    for executor in EXECUTORS:
        with pytest.raises(NoAnswer):
            engine("package t\nmain := 1\n", executor).rule(path, "{}")


def test_trap_6_an_errors_text_names_the_source_line_and_has_no_backtrace():
    served = engine("package t\n\n# a comment\n\nmain := upper(\n  input.a)\n", "interpreter", strict=True)
    with pytest.raises(NoAnswer) as caught:
        served.rule("data.t.main", '{"a": 1}')
    assert "m.rego:5" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "backtrace" not in str(caught.value)


# -- 7: what the engine notices late -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["nosuch(1)", "my.fn(1)", "data.t.nosuch(1)", "startswiht(input.a, 1)"])
def test_trap_7_an_unknown_function_is_refused_at_load_by_name_and_place(call):
    with pytest.raises(UnknownFunction, match=re.escape(call.split("(")[0])) as caught:
        compile_policy([Module("m.rego", f"package t\n\nmain if not {call}\n")])
    assert caught.value.where == "m.rego:3:13"


def test_trap_7_an_unsafe_variable_is_refused_at_load():
    with pytest.raises(UnsafeVariable, match="var x is unsafe") as caught:
        compile_policy([Module("m.rego", "package t\nmain if {\n\tnot input.a == x\n}\n")])
    assert caught.value.where == "m.rego:3:2"


# -- 8: builtins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "time.now_ns()",
        'http.send({"url": "x", "method": "get"})',
        'rand.intn("a", 3)',
        "opa.runtime()",
        'uuid.rfc4122("")',
        'net.lookup_ip_addr("x")',
    ],
)
def test_trap_8_a_builtin_that_answers_differently_each_time_is_refused(call):
    with pytest.raises(RuleError, match=re.escape(call.split("(")[0])):
        compile_policy([Module("m.rego", f"package t\nmain := {call}\n")])


def test_trap_8_a_missing_builtin_is_served_by_ours_or_refused_by_name():
    assert both('main := crypto.sha256("a")', {})[1].startswith("ca978112ca1bbdca")
    assert both('main if io.jwt.verify_hs256(input.a, "k")', {}) == UNDEFINED
    with pytest.raises(UnknownFunction, match=r"rego\.metadata\.rule"):
        compile_policy([Module("m.rego", "package t\nmain := rego.metadata.rule()\n")])


def test_trap_8_a_builtin_of_ours_that_raises_leaves_the_engine_usable():
    text = 'package t\nmain := net.cidr_contains("10.0.0.0/8", input.a)\n'
    served = engine(text, "interpreter", strict=True)
    with pytest.raises(NoAnswer):
        served.rule("data.t.main", '{"a": "x"}')
    assert served.rule("data.t.main", '{"a": "10.1.2.3"}').text == "true"
    assert served.rule("data.t.main", '{"a": "11.1.2.3"}').text == "false"


# -- 9: text and numbers -------------------------------------------------------------------------------------------


def test_trap_9_a_line_may_be_long():
    table = ", ".join(f'"value-{n}"' for n in range(2_000))
    assert both(f"main if input.a in [{table}]", {"a": "value-1999"}) == TRUE
    assert both(f"main if input.a in [{table}]", {"a": "value-2000"}) == UNDEFINED


@pytest.mark.parametrize(("c", "wanted"), [(1, TRUE), (2, UNDEFINED), (None, UNDEFINED)])
def test_trap_9_a_line_that_starts_with_a_parenthesis_is_no_call(c, wanted):
    assert both("main if {\n\tinput.a.b\n\t(input.c == 1)\n}", {"a": {"b": True}, "c": c}) == wanted


@pytest.mark.parametrize(
    "before",
    [
        "not input.q == count(input.b)",
        "some w in input.b",
        "w := input.b",
        "1 in input.b",
        "input.q != input.b",
        "input.b",
    ],
)
@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("count(input.a) + count(input.b) == 3", True),
        ("count(input.a) + count(input.b) == 4", False),
        ("[1, 2][0] == 1", True),
        ("[input.a] == [[1]]", True),
        ("[1] == [2]", False),
        ("{input.a} == {[1]}", True),
        ("{1} == {2}", False),
    ],
)
def test_trap_9_a_line_that_begins_with_a_bracket_is_a_statement_of_its_own(before, line, holds):
    text = f"main if {{\n\t{before}\n\t{line}\n}}"
    for strict in (False, True):
        assert both(text, {"a": [1], "b": [1, 2], "q": 9}, strict=strict) == (TRUE if holds else UNDEFINED)


@pytest.mark.parametrize(
    ("rule", "document", "value"),
    [
        ("main := 12345678901234567890", {}, 12345678901234567890),
        ("main := input.n", {"n": 12345678901234567890}, 12345678901234567890),
        ("main := input.n + 1", {"n": 9007199254740993}, 9007199254740994),
        ("main := input.n == 9007199254740993", {"n": 9007199254740992}, False),
        ("main := input.n > 9223372036854775807", {"n": 9223372036854775808}, True),
        ('main := sprintf("%d", [input.n])', {"n": 12345678901234567890}, "12345678901234567890"),
        ("main := format_int(input.n, 10)", {"n": 100000000000000000000}, "100000000000000000000"),
        ("main if input.n == 1", {"n": 1.0}, True),
        ("main := input.n", {"n": 1.0}, 1.0),
        ('main := json.unmarshal("12345678901234567890")', {}, 12345678901234567890),
    ],
)
def test_trap_9_integers_of_64_bits_stay_exact(rule, document, value):
    assert both(rule, document) == ("value", value)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ('glob.match("*", [], "a.b")', False),
        ('glob.match("*", ["."], "a.b")', False),
        ('glob.match("https://api.corp*", [], "https://api.corp.evil.example")', False),
        ('glob.match("*.corp", null, "a.b.corp")', True),
        ('regex.match("(?i)AB", "xab")', True),
    ],
)
def test_trap_9_globs_answer_as_opa_does(call, value):
    assert both(f"main := {call}", {}) == ("value", value)


# -- 11 and 12: hoisting -------------------------------------------------------------------------------------------


def test_trap_11_nested_calls_are_lifted_inner_most_first():
    rule = 'main if not contains(lower(trim_space(input.a.b)), "x")'
    assert both(rule, {}) == UNDEFINED
    assert both(rule, {"a": {"b": " Y "}}) == TRUE
    assert both(rule, {"a": {"b": " X "}}) == UNDEFINED


def test_trap_12_one_undefined_value_does_not_empty_a_partial_object():
    rule = 'main[k] := v if { some k in ["a", "b"]; v := input[k] }\nmain.z := input.nope\nmain.y := 1'
    assert answer(rule, {"a": 5}) == ("value", {"a": 5, "y": 1})


def test_trap_12_the_sides_of_an_equality_stay_under_not():
    assert both('main if not input.a == "x"', {}) == TRUE
    assert both("main if not input.a == input.b", {"a": 1}) == TRUE


def test_trap_12_with_holds_for_what_was_lifted_as_well():
    rule = 'main if not startswith(input.a, "x") with input as {"a": "y"}'
    assert both(rule, {}) == TRUE
    assert both(rule, {"a": "x"}) == TRUE
    assert both('main if not startswith(input.a, "x") with input as {}', {"a": "y"}) == UNDEFINED


@pytest.mark.parametrize(
    ("rule", "document"),
    [
        ("main := 1 if input.a\nmain := 2 if input.b", {"a": 1, "b": 1}),
        ("main := x if some x in [1, 2]", {}),
        ("main := data.d.users[_].n", {}),
        ("g(x) := 1 if x > 0\ng(x) := 2 if x > 1\nmain := g(input.a)", {"a": 2}),
        ("g(x) := y if some y in x\nmain := g(input.a)", {"a": [1, 2]}),
        ("main[k] := v if { some k in [1]; some v in [1, 2] }", {}),
    ],
)
def test_trap_12_several_values_of_one_rule_are_an_error_and_never_one_of_them(rule, document):
    assert both(rule, document) == ERROR
    assert answer(rule, document, "rvm") in (None, ERROR)


def test_without_an_input_nothing_is_known_of_it():
    assert both("main := input", NO_INPUT) == UNDEFINED
    assert both("main if not input.x", NO_INPUT) == TRUE
    assert both('main if not startswith(input.x, "a")', NO_INPUT) == UNDEFINED


def test_an_input_does_not_outlive_its_question():
    served = engine("package t\nmain := input.a\n", "interpreter")
    assert served.rule("data.t.main", '{"a": 1}').text == "1"
    assert served.rule("data.t.main", "{}").text is None
    with pytest.raises(InternalError):
        served.rule("data.t.main", None)


# -- found since: `every` and nested comprehensions ----------------------------------------------------------------

ONE_MISSING = {"c": ["a", "b"], "m": {"a": 1}, "e": ["a"], "t": {"a": {"a": 1}}}
ALL_THERE = {"c": ["a", "b"], "m": {"a": 1, "b": 1}, "e": ["a"], "t": {"a": {"a": 1}, "b": {"a": 1}}}
NONE_THERE = {"c": ["a", "b"], "m": {}, "e": ["a"], "t": {}}


@pytest.mark.parametrize(
    ("body", "all_there", "one_missing", "none_there"),
    [
        ("input.m[q]", TRUE, UNDEFINED, UNDEFINED),
        ("not input.m[q]", UNDEFINED, UNDEFINED, TRUE),
        ("input.m[q] == 1", TRUE, UNDEFINED, UNDEFINED),
        ("not input.m[q] == 1", UNDEFINED, UNDEFINED, TRUE),
        ("input.m[q] in [1]", TRUE, UNDEFINED, UNDEFINED),
        ("not input.m[q] in [2]", TRUE, UNDEFINED, UNDEFINED),
        ("x := input.m[q]; not x == 2", TRUE, UNDEFINED, UNDEFINED),
        ("count([1 | input.m[q]]) == 1", TRUE, UNDEFINED, UNDEFINED),
        ("count([1 | not input.m[q]]) == 0", TRUE, UNDEFINED, UNDEFINED),
        ("every w in input.e { input.t[q][w] }", TRUE, UNDEFINED, UNDEFINED),
        ("every w in input.e { not input.t[q][w] }", UNDEFINED, UNDEFINED, TRUE),
        ("some w in input.e; input.t[q][w]", TRUE, UNDEFINED, UNDEFINED),
        ("fid(input.m[q]) == 1", TRUE, UNDEFINED, UNDEFINED),
        ("object.get(input.m, q, 0) == 1", TRUE, UNDEFINED, UNDEFINED),
        ("q in object.keys(input.m)", TRUE, UNDEFINED, UNDEFINED),
    ],
)
def test_every_looks_up_each_member_and_does_not_loop_over_what_is_there(body, all_there, one_missing, none_there):
    rule = f"main if {{ every q in input.c {{ {body} }} }}"
    assert both(rule, ALL_THERE) == all_there
    assert both(rule, ONE_MISSING) == one_missing
    assert both(rule, NONE_THERE) == none_there


def test_every_stops_at_a_false_member_behind_a_comprehension():
    rule = "main if every q in input.c { x := count([1 | input.z]); x == 0; q }"
    assert both(rule, {"c": ["a", False]}) == UNDEFINED
    assert both(rule, {"c": ["a", None]}) == TRUE


def test_a_comprehension_in_a_comprehension_gives_its_values():
    rule = "main := [w | some w, q in input.c; x := count([1 | q == 2]); x == 0]"
    assert both(rule, {"c": [{}, 2, {}]}) == ("value", [0, 2])


@pytest.mark.parametrize(
    "rule",
    [
        "x := input.a in [1]; not x",
        'x := {"k": input.a in [1]}; not x.k',
        "x := [input.a in [1]]; x == [false]",
        "(input.a in [1]) == false",
    ],
)
def test_membership_of_something_undefined_is_undefined_and_not_false(rule):
    assert both(f"main if {{ {rule} }}", {}) == UNDEFINED
    assert both(f"main if {{ {rule} }}", {"a": 2}) == TRUE


def test_what_a_rule_with_a_variable_in_its_name_finds_is_seen_beside_one_with_a_constant():
    """The engine answered `p.b.r` by the constant's rule alone, so a `deny` that only the other found was not there."""
    rules = "p[x].r contains 1 if x := input.a\np.b.r contains 2 if true\nmain := p.b.r"
    assert both(rules, {"a": "b"}) == ("value", [1, 2])
    assert both(rules, {"a": "c"}) == ("value", [2])
    assert both(rules, {}) == ("value", [2])


def test_a_default_beside_a_rule_with_a_variable_in_its_name_is_refused_at_load():
    with pytest.raises(RuleError, match="give one of the two another name"):
        both("p[x].r := 1 if x := input.a\ndefault p.b.r := 2\nmain := p.b.r", {})


KNOWN = """package lib.known
names contains name if some name in input.names
"""
ANSWER = """package lib.answer
import data.lib.known
import data.lib.known as k
undef if input.nothere
by_call(x) if known.names[x]
by_value(_) := known.names
by_alias(x) if x in k.names
declares(x) if {
	x in known.names
	x in (k.names | _more(x))
}
_more(x) := {x} if not x in known.names
else := set()
"""


@pytest.mark.parametrize("called", ["by_call", "by_value", "by_alias", "declares"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_trap_13_an_import_stays_defined_beside_an_undefined_rule(called, executor):
    """Else `deny if { not answer.undef; answer.declares(x) }` would refuse nothing."""
    body = f'not answer.undef\n\tanswer.{called}("a")'
    text = f"package t\nimport data.lib.answer\ndeny if {{\n\t{body}\n}}\n"
    modules = [Module("known.rego", KNOWN), Module("answer.rego", ANSWER), Module("t.rego", text)]
    compiled = compile_policy(modules, entrypoints=["data.t.deny"], strict=True)
    served = Engine(compiled if executor == "rvm" else compiled._replace(fast=()))
    assert served.rule("data.t.deny", json.dumps({"names": ["a"]})).text == "true"


@pytest.mark.parametrize(
    "rule",
    [
        "deny if { known := 1; known == 1 }",
        "deny if { every known in [1] { known == 1 } }",
        "f(known) if known == 1\ndeny if f(1)",
        "deny if { [known | known := 1][0] == 1 }",
        'deny if { known.names["b"] with data.lib.known.names as {"b"} }',
        'deny if { "b" in known.names with known.names as {"b"} }',
        'deny if { u == ["b"] with input.names as ["b"] }',
    ],
)
def test_trap_13_a_variable_of_an_imports_name_is_a_variable(rule):
    text = f"package t\nimport data.lib.known\nimport input.names as u\n{rule}\n"
    compiled = compile_policy([Module("known.rego", KNOWN), Module("t.rego", text)], entrypoints=["data.t.deny"])
    for served in (compiled, compiled._replace(fast=())):
        assert Engine(served).rule("data.t.deny", json.dumps({"names": ["a"]})).text == "true"
