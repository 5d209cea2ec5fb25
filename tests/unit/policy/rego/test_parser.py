"""Our reading of Rego: printing and reading again changes nothing, and no text takes the reader down."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import RuleError
from governance.policy.rego.parser import parse_module, parse_query
from governance.policy.rego.printer import Printer
from governance.policy.rego.tokens import RegoSyntaxError

RULES = Path(__file__).parents[4] / "rules"
FILES = sorted(RULES.rglob("*.rego"))


def printed(text: str, *, is_v0: bool = False) -> str:
    return Printer().module(parse_module(text, "m.rego", is_v0=is_v0))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RULES)))
def test_every_rule_of_ours_prints_to_what_reads_the_same(path):
    once = printed(path.read_text(), is_v0="extras" in path.parts)
    assert printed(once) == once


SAMPLES = """
p if { x := [1, "a", {"k": {2, 3}}, set(), {}]; y := x[2].k; 2 in y }
q contains v if { some i, v in input.a; not v in {"x"}; i > -1.5e3 }
r[k] := v if { some k, v in input.o } else := 3 if { true }
f(x, [y, _]) := z if { z := x + y * 2 - 1 / 3 % 4 }
s := {k: v | some k, v in {"a": 1}; v == 1}
t := [x | x := input.xs[_]] | {y | some y in [1]} & set()
every_one if { every k, v in {"a": 1} { k == "a"; v > 0 } }
with_one if { count(input.a) == 1 with input.a as [1] with data.b as 2 }
raw := `a\\b"c`
default d := false
a.b.c := 1
if.allowed if { not input.x }
uses if { if.allowed; data.m["odd name"].x }
""".strip().splitlines()


@pytest.mark.parametrize("line", SAMPLES)
def test_every_construct_prints_to_what_reads_the_same(line):
    once = printed(f"package m\n\nimport rego.v1\n\n{line}\n")
    assert printed(once) == once


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "m.rego:1:1"),
        ("package", "m.rego:1:"),
        ("package a\n\np if {\n", "m.rego:4:"),
        ("package a\n\np if { x := }\n", "m.rego:3:13"),
        ("package a\n\np { true }\n", "m.rego:3:"),
        ("package a\n\np if { 01 }\n", "m.rego:3:"),
        ('package a\n\np := "\\x"\n', "m.rego:3:"),
        ("package a\n\np := `x\n", "m.rego:3:"),
        ('package a\n\np := "x\n"\n', "m.rego:3:"),
        ("package a\n\np := $`x\n", "m.rego:3:"),
        ("package a\n\nimport system.x\n", "m.rego:3:"),
        ("package a\n\nimport future.keywords.maybe\n", "m.rego:3:"),
        ("package a\n\np if { a and b }\n", "m.rego:3:"),
        ("package a\n\np if { not some x in [1] }\n", "m.rego:3:"),
        ("package a\n\np := 1 2\n", "m.rego:3:"),
        ("package a\n\np := {1: 2, 3}\n", "m.rego:3:"),
    ],
)
def test_what_is_not_understood_whole_is_refused_with_its_place(text, place):
    with pytest.raises(RegoSyntaxError) as caught:
        parse_module(text, "m.rego")
    assert caught.value.where.startswith(place)


@pytest.mark.parametrize(
    "query",
    [
        "x := " + "[" * 3000, "x := " + "{" * 3000, "x := " + "(" * 3000, "x := " + "[a | " * 300, "x := " + "{1: " * 300,
        "x := " + "[" * 40 + "1" + "]" * 40 + "]", "x := " + "(a, " * 40 + "1" + " in c)" * 39, "not " * 3000 + "x",
        "x := " + "f(" * 2000, "x := " + "{a | {b | " * 100, "every x in " * 500 + "y { true }", "x := " + "-" * 5000 + "1",
    ],
    ids=lambda query: f"{query[:24]}…{len(query)}",
)  # fmt: skip
def test_nesting_is_an_error_soon_and_never_a_crash(query):
    started = time.process_time()
    with pytest.raises(RuleError):
        parse_query(query)
    assert time.process_time() - started < 20  # attempts that double with each level would take years


def test_a_long_sum_is_refused_or_read_and_nothing_else():
    from governance.policy.compiler.compile import Module, compile_policy

    text = "package m\n\np := " + " + ".join(["1"] * 20_000) + "\n"
    with pytest.raises(RuleError):
        compile_policy([Module("m.rego", text)])


@given(st.text(max_size=60))
def test_no_text_takes_the_reader_down(text):
    for source in (text, f"package m\n\n{text}", f"package m\n\np if {{ {text} }}"):
        with contextlib.suppress(RegoSyntaxError):
            assert parse_module(source, "m.rego").package


TOKENS = [
    *[
        "p",
        "x",
        ":=",
        "=",
        "==",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "|",
        ",",
        ".",
        ":",
        "1",
        "if",
        "not",
        "some",
        "in",
        "every",
        "with",
        "as",
    ],
    '"s"',
    "\n",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=25))
def test_what_is_read_from_any_row_of_tokens_prints_to_itself(tokens):
    source = "package m\n\nimport rego.v1\n\n" + " ".join(tokens)
    try:
        once = printed(source)
    except RegoSyntaxError:
        return
    assert printed(once) == once
