"""A query that somebody makes up against the policy that serves: what OPA's `/v1/query` does.

It is checked and hoisted as a rule would be, so that undefined means what it means in OPA, and runs on the interpreter. An
error of a builtin that the query itself calls is an error, where OPA would leave the solution out.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.errors import CallerError, NoAnswer, RuleError
from governance.model.decision import Answer
from governance.policy.compiler.checks import check_modules, functions_of
from governance.policy.compiler.hoist import Names, hoist
from governance.policy.compiler.safety import check_safety
from governance.policy.eval import variables_of
from governance.policy.rego.parser import parse_module, parse_query
from governance.policy.rego.printer import literal_text
from governance.policy.rego.syntax import Head, Module, Rule, Var

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json
    from governance.policy.active import Active
    from governance.policy.rego.syntax import Literal


class BadQuery(CallerError):
    """A query that does not parse or must not run; `reason` is OPA's code for it."""

    code = "bad_query"

    def __init__(self, stage: str, error: RuleError) -> None:
        """`stage`: parsing or compiling."""
        super().__init__(str(error), where="query")
        self.stage = stage
        self.reason = error.code if error.code.startswith("rego_") else f"rego_{stage[:-3]}e_error"


def check_query(active: Active, text: str) -> None:
    """Raise BadQuery for what is none, before anything is evaluated or recorded as a question."""
    _hoisted(active, text)


def ask_query(active: Active, _path: str, document: Json) -> Answer | NoAnswer:
    """Bindings of each solution of `document["query"]` for `document["input"]`; none is an `Answer` without text."""
    names, body = _hoisted(active, document["query"])
    query = "; ".join(literal_text(literal) for literal in body)
    try:
        rows = active.engine.query(query, json.dumps(document.get("input", {}), ensure_ascii=False), strict=False)
    except NoAnswer as error:
        return error
    found = [{name: row["bindings"][name] for name in names if name in row["bindings"]} for row in rows]
    return Answer(json.dumps(found, ensure_ascii=False) if found else None, "interpreter")


def _hoisted(active: Active, text: str) -> tuple[Sequence[str], Sequence[Literal]]:
    """Names that the query binds, and its statements as the engine may see them."""
    try:
        body = parse_query(text)
    except RuleError as error:
        raise BadQuery("parsing", error) from error
    if not body:
        raise CallerError("cannot evaluate empty query", where="query")
    names = variables_of(body)
    rule = Rule(Head([Var("result")]), body)
    tree = Module("query", ["query_"], [], [rule])
    functions = _functions(active.compiled.modules)
    try:
        check_modules([tree], deterministic=True, known=functions)
        check_safety([tree])
    except RuleError as error:
        raise BadQuery("compiling", error) from error
    hoist(tree, Names(frozenset(), functions), full=False)
    return names, rule.body or []


@lru_cache(maxsize=1)
def _functions(modules: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """Every function that serves, in full from `data`; a fifth of a second for the rule pack, once for each bundle."""
    return frozenset(functions_of([parse_module(text, path) for path, text in modules]))
