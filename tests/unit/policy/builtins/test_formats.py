"""`sprintf` where the engine's own fails: the texts that OPA 1.22.2 gives, and no violation lost for want of one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.policy.builtins.formats import sprintf
from governance.policy.eval import Failure, Question, evaluate

CASES = [
    ("%v %v", [1], "1 %!v(MISSING)"),
    ("%v", [1, 2], "1%!(EXTRA int64=2)"),
    ("%d", ["a"], "%!d(string=a)"),
    ("%d", [1.5], "%!d(float64=1.5)"),
    ("%d", [None], "%!d(string=null)"),
    ("%d", [True], "%!d(string=true)"),
    ("%y", [1], "%!y(int64=1)"),
    ("%", [1], "%!(NOVERB)%!(EXTRA int64=1)"),
    ("%[2]v", [1, 2], "2"),
    ("%*d", [3, 1], "  1"),
    ("%x", ["a"], "61"),
    ("%+v", [1], "1"),
    ("%#v", ["a"], '"a"'),
    ("%q %s", ["a"], '"a" %!s(MISSING)'),
    ("%v %d", [{"b": [1, "x"], "a": None}, "y"], '{"a": null, "b": [1, "x"]} %!d(string=y)'),
    ("%s %d %%", [], "%!s(MISSING) %!d(MISSING) %"),
]


@pytest.mark.parametrize(("template", "arguments", "text"), CASES)
def test_the_text_is_opa_s(template, arguments, text):
    assert sprintf(template, arguments) == [text]


@pytest.mark.parametrize(("template", "arguments", "text"), [CASES[index] for index in (0, 1, 3, 6, 7, 8, 9, 11, 12)])
def test_a_rule_gets_that_text_where_the_engine_s_own_builtin_fails(template, arguments, text):
    assert evaluate(Question(f"x := sprintf({json.dumps(template)}, {json.dumps(arguments)})", {})) == [{"x": text}]


@pytest.mark.parametrize("operands", [(1, []), ("x", "y"), (None, None), ("%d", {"a": 1})])
def test_what_is_no_text_and_list_stays_undefined(operands):
    assert sprintf(*operands) == []


def test_strict_stays_strict():
    found = evaluate(Question('x := sprintf("%v %v", [1])', {}, strict=True))
    assert isinstance(found, Failure)


def test_a_set_of_plain_values_is_written_as_rego_has_it():
    assert sprintf("%v %d", [{"a", "b"}, set()]) == ['{"a", "b"} %!d(string=set())']


@given(
    st.text(alphabet="%vdsqxtfeg[]0123456789.*+-# a", max_size=20),
    st.lists(st.integers() | st.text() | st.floats() | st.none()),
)
def test_no_template_fails_or_grows_without_bound(template, arguments):
    (text,) = sprintf(template, arguments)
    assert len(text) < 40_000
