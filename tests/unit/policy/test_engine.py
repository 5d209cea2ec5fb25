"""The engine's door: what it answers, what it refuses, and that both executors say the same of the shipped pack."""

import contextlib
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import InternalError, NoAnswer, RuleError
from governance.model.request import KINDS
from governance.policy.active import load_active
from governance.policy.bundle import files_of
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.engine import Engine
from governance.policy.proof import canonical_sets, corpus_of, mutants, proved

RULES = Path(__file__).parents[3] / "rules"


def engine_of(text, *, fast=False, strict=False):
    compiled = compile_policy([Module("m.rego", text)], entrypoints=["data.t.main"] if fast else (), strict=strict)
    return Engine(compiled)


# -- answers -------------------------------------------------------------------------------------------------------


def test_the_answer_names_its_executor():
    assert engine_of("package t\nmain := 1\n", fast=True).rule("data.t.main", "{}").executor == "rvm"
    assert engine_of("package t\nmain := 1\n").rule("data.t.main", "{}").executor == "interpreter"


def test_a_query_gives_bindings_and_nothing_when_undefined():
    served = engine_of("package t\np contains x if some x in input.a\n")
    found = served.query("data.t.p[x]", '{"a": [1, 2]}')
    assert sorted(row["bindings"]["x"] for row in found) == [1, 2]
    assert served.query("data.t.p[x]", '{"a": []}') == []
    assert served.query("data.t.nothing", "{}") == []


@pytest.mark.parametrize("query", ["", "data.t.p[", "nosuch(1)", "1 +", "\x00"])
def test_a_query_that_is_none_is_no_answer(query):
    served = engine_of("package t\np := 1\n")
    with pytest.raises(NoAnswer):
        served.query(query, "{}")
    assert served.rule("data.t.p", "{}").text == "1"


@pytest.mark.parametrize("document", ["", "{", "nul", "{} {}", "[1,]"])
@pytest.mark.parametrize("fast", [False, True])
def test_an_input_that_is_not_json_is_no_answer(document, fast):
    served = engine_of("package t\nmain := 1\n", fast=fast)
    with pytest.raises(NoAnswer):
        served.rule("data.t.main", document)
    assert served.rule("data.t.main", "{}").text == "1"


@pytest.mark.parametrize("fast", [False, True])
def test_a_panic_in_the_middle_of_many_questions_spoils_none_of_them(fast):
    text = 'package t\nmain := count(split(input.s, ","))\nother := strings.count("abc", input.s)\n'
    served = engine_of(text, fast=fast, strict=True)
    for _ in range(3):
        with pytest.raises(NoAnswer, match="panicked"):
            served.rule("data.t.other", '{"s": ""}')
        assert served.rule("data.t.main", '{"s": "a,b"}').text == "2"
        assert served.query("data.t.other", '{"s": "b"}')[0]["expressions"][0]["value"] == 1


def test_deep_input_is_an_answer_or_none_and_never_a_crash():
    served = engine_of("package t\nmain if not input.a\n", fast=True)
    deep = '{"a":' * 2_000 + "1" + "}" * 2_000
    with contextlib.suppress(NoAnswer):
        assert served.rule("data.t.main", deep).text is None
    assert served.rule("data.t.main", "{}").text == "true"


def test_a_module_that_the_engine_cannot_read_is_refused_with_its_place():
    broken = CompiledPolicy((("m.rego", "package t\nmain := {"),), (), "{}", {"m.rego": [1, 7]}, (), b"", False)
    with pytest.raises(RuleError):
        Engine(broken)


def test_comparing_needs_a_program():
    with pytest.raises(InternalError, match="no compiled program"):
        engine_of("package t\nmain := 1\n").compare("data.t.main", "{}")


# -- what the compiler hands over ----------------------------------------------------------------------------------


def test_a_compiled_policy_goes_to_bytes_and_back():
    compiled = compile_policy(
        [Module("m.rego", 'package t\nmain := input["é"]\n')], data={"k": "ü"}, entrypoints=["data.t.main"]
    )
    again = CompiledPolicy.from_bytes(compiled.to_bytes())
    assert again == compiled
    assert Engine(again).rule("data.t.main", '{"é": 1}').text == "1"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: b"",
        lambda raw: b"{}\n",
        lambda raw: raw.replace(b"compiled/2", b"compiled/0"),
        lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    ],
)
def test_bytes_that_were_changed_are_refused(change):
    raw = compile_policy([Module("m.rego", "package t\nmain := 1\n")], entrypoints=["data.t.main"]).to_bytes()
    with pytest.raises(RuleError):
        CompiledPolicy.from_bytes(change(raw))


# -- the proof of equality -----------------------------------------------------------------------------------------

SERVED = [{"kind": "main", "a": "x", "b": {"c": [1, 2]}}]


def test_an_entry_point_is_proved_by_inputs_of_its_kind_and_their_mutants():
    compiled = compile_policy(
        [Module("m.rego", "package t\nmain := [input.b.c[0], input.a]\n")], entrypoints=["data.t.main"]
    )
    assert proved(compiled, SERVED) == ("data.t.main",)
    assert proved(compiled, []) == ()
    assert proved(compiled, [{"kind": "other"}]) == ()


def test_an_entry_point_on_which_they_differ_is_not_proved():
    strict = compile_policy(
        [Module("m.rego", 'package t\nmain := {"v": [1 | upper(input.a) == "X"]}\n')],
        entrypoints=["data.t.main"],
        strict=True,
    )
    assert strict.fast == ("data.t.main",)
    # A builtin's error is no answer to the interpreter and an empty list to the fast executor.
    assert proved(strict, SERVED) == ()


def test_mutants_reach_every_node():
    found = list(mutants({"a": {"b": [1]}}))
    assert {"a": {"b": []}} in found
    assert {"a": {}} in found
    assert {} in found
    assert {"a": {"b": [None]}} in found
    assert all(json.dumps(document) != '{"a": {"b": [1]}}' for document in found)


# -- the shipped pack ----------------------------------------------------------------------------------------------


@cache
def pack():
    return load_active()


@cache
def corpus():
    return [
        document
        for document in corpus_of(files_of(str(RULES)))
        if f"data.platform.main.{document.get('kind')}" in pack().compiled.fast
    ]


# Compiling and proving the pack takes seconds: done once for all of these, and kept for the next run.
def test_the_shipped_pack_is_served_by_the_fast_executor():
    assert {path.rsplit(".", 1)[-1] for path in pack().compiled.fast} == KINDS


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(
        [
            10**20,
            1.5,
            "",
            "x",
            "eu",
            "*",
            "P1D",
            "P",
            "2026-13-01T00:00:00Z",
            "://",
            "[",
            "%s",
            "sha256:0",
            "<undefined>",
            "\u0000",
            "a" * 300,
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "scopes", "a", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@st.composite
def documents(draw):
    """A case's input with up to three nodes replaced or dropped."""
    document = json.loads(json.dumps(draw(st.sampled_from(corpus()))))
    for _ in range(draw(st.integers(1, 3))):
        choices = [path for path in places(document) if path and path != ("kind",)]
        if not choices:
            break
        *way, last = draw(st.sampled_from(choices))
        parent = document
        for segment in way:
            parent = parent[segment]
        if draw(st.booleans()):
            parent[last] = draw(VALUES)
        else:
            del parent[last]
    return document


@settings(max_examples=80, deadline=None)
@given(document=documents())
def test_both_executors_say_the_same_of_any_input(document):
    slow, fast = pack().engine.compare(f"data.platform.main.{document['kind']}", json.dumps(document))
    if fast == "error":
        return  # the interpreter then serves
    assert slow not in {None, "error"}, "the shipped rules have an answer for every document"
    assert canonical_sets(json.loads(slow)) == canonical_sets(json.loads(fast))


@settings(max_examples=30, deadline=None)
@given(document=VALUES)
def test_the_shipped_pack_allows_nothing_it_does_not_understand(document):
    for kind in sorted(KINDS):
        try:
            answer = pack().engine.rule(f"data.platform.main.{kind}", json.dumps(document))
        except NoAnswer:  # the interpreter's word for a document that is no object at all; whoever asks denies
            assert kind == "app_answer"
            assert not isinstance(document, dict)
            continue
        assert json.loads(answer.text)["violations"]
