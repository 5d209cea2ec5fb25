"""Any Rego query, compiled and run exactly as the service would: what `governance rules eval` stands on.

A query becomes a rule of a module of its own, so that it goes through the same compiler: hoisting, checks and all. Its
variables come back as bindings; a wildcard never does.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import GovernanceError, NoAnswer, RuleError
from governance.policy.active import engine_for
from governance.policy.builtins.signatures import signatures
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.rego.parser import parse_query
from governance.policy.rego.printer import literal_text
from governance.policy.rego.syntax import Call, Comprehension, Every, Infix, Literal, Some, SomeIn, Var
from governance.policy.rego.walk import subterms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json

_PACKAGE = "query_"
_EVAL_ERRORS = (
    (
        re.compile(r"conflict|complete rules? must not produce multiple|multiple values|must not produce"),
        "eval_conflict_error",
    ),
    (re.compile(r"recursion|recursive"), "rego_recursion_error"),
)


class Question(NamedTuple):
    """One query with everything it needs."""

    query: str
    modules: Mapping[str, str]
    data: Json = None
    input: Json = None
    has_input: bool = False
    strict: bool = False
    v0: bool = False


class Failure(NamedTuple):
    """Why there is no result, in OPA's codes."""

    code: str
    message: str


def evaluate(question: Question) -> list[dict[str, Json]] | Failure:
    """Bindings of every solution, `[]` when there is none; a Failure for what OPA reports as an error."""
    try:
        body = parse_query(question.query, is_v0=question.v0)
        if not body:
            return Failure("rego_parse_error", "the query is empty")
        names = variables_of(body)
        modules = [Module(name, text, question.v0) for name, text in question.modules.items()]
        modules.append(Module("query", _rule_for(body, names)))
        compiled = compile_policy(modules, data=question.data, strict=question.strict, deterministic=False)
        engine = engine_for(compiled)
        document = json.dumps(question.input) if question.has_input else None
        answer = engine.rule(f"data.{_PACKAGE}.result", document)
    except RuleError as error:
        return Failure(error.code if error.code.startswith("rego_") else "rego_compile_error", str(error))
    except NoAnswer as error:
        return Failure(_code_of(error), str(error))
    except GovernanceError as error:
        return Failure(error.code, str(error))
    return list(json.loads(answer.text)) if answer.text is not None else []


def has_value(query: str, *, is_v0: bool) -> bool:
    """Whether a query is one expression that has a value of its own, which may be false. A malformed one has none."""
    try:
        body = parse_query(query, is_v0=is_v0)
    except RuleError:
        return False
    if len(body) != 1 or body[0].negated or body[0].withs or isinstance(body[0].expr, Some | SomeIn | Every):
        return False
    expr = body[0].expr
    if isinstance(expr, Call) and expr.name in signatures():
        return len(expr.args) == len(signatures()[expr.name].args) and expr.name != "walk"
    return not (isinstance(expr, Infix) and expr.op in {":=", "="})


def variables_of(body: list[Literal]) -> list[str]:
    """Names a query binds, in order of appearance: not wildcards, not what a nested body keeps to itself."""
    found: list[str] = []
    for literal in body:
        terms = list(subterms(literal.expr)) if isinstance(literal.expr, (Some, SomeIn)) else [literal.expr]
        if isinstance(literal.expr, Infix):
            terms = [literal.expr.left, literal.expr.right]
        for term in terms:
            for inner in _outer_terms(term):
                if isinstance(inner, Var) and inner.name not in {"_", "input", "data"} and inner.name not in found:
                    found.append(inner.name)
    return found


def _outer_terms(term: object) -> list[object]:
    if isinstance(term, (Comprehension, Every)):
        return []
    children = [inner for child in subterms(term) for inner in _outer_terms(child)]  # type: ignore[arg-type]
    return [term, *children]


def _rule_for(body: list[Literal], names: list[str]) -> str:
    bindings = ", ".join(f"{json.dumps(name)}: {name}" for name in names)
    statements = "; ".join(literal_text(literal) for literal in body)
    return f"package {_PACKAGE}\n\nimport rego.v1\n\nresult := [b | {statements}; b := {{{bindings}}}]\n"


def _code_of(error: NoAnswer) -> str:
    text = str(error)
    for pattern, code in _EVAL_ERRORS:
        if pattern.search(text):
            return code
    return "eval_builtin_error"
