"""Lint for Rego rules: what makes a rule hard to trust, found in its tree and metadata before it serves."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.policy.bundle import load_bundle
from governance.policy.compiler.checks import check_modules
from governance.policy.compiler.declarations import check_declarations
from governance.policy.compiler.recursion import check_recursion
from governance.policy.compiler.safety import check_safety
from governance.policy.metadata import RuleMeta, metadata_of, package_of
from governance.policy.rego.parser import parse_module
from governance.policy.rego.syntax import Array, Call, Infix, Object, Rule, Scalar, Some, SomeIn, Var
from governance.policy.rego.walk import bodies_of_rule, pattern_variables, statements_of, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.policy.bundle import Bundle
    from governance.policy.compiler.compile import Module
    from governance.policy.rego.syntax import Module as Tree

_LONGEST_FILE = 60
_LONGEST_LINE = 200
_VERB = re.compile(r"%[-+# 0]*[0-9*]*(?:\.[0-9*]+)?[a-zA-Z%]")
_URL_GLOB = re.compile(r"https?://[^\"]*\*")


class Finding(NamedTuple):
    """One thing to mend."""

    check: str
    severity: str
    """error | warning"""
    file: str
    line: int
    message: str


class _Unit(NamedTuple):
    module: Module
    tree: Tree
    meta: RuleMeta | None
    source: str
    """Folder of the bundle."""


def lint(source: str) -> tuple[list[Finding], int]:
    """Findings over every rule of the bundle folder, and how many rules were looked at.

    Raises RuleError when there is no rule at all: nothing looked at is not the same as nothing found.
    """
    bundle = load_bundle(source)
    findings: list[Finding] = []
    units: list[_Unit] = []
    for module in bundle.modules:
        try:
            units.append(
                _Unit(module, parse_module(module.text, module.path), metadata_of(module.text, module.path), source)
            )
        except RuleError as error:
            findings.append(_from_error("parses", error, module.path))
    rules = [unit for unit in units if unit.meta is not None and not unit.meta.obligation_type]
    if not rules and not findings:
        raise RuleError("0 rules found", where=source, hint="rules are packages below platform.rules")
    for check in CHECKS:
        for unit in units:
            findings += check(unit)
    findings += [*_compiles(bundle, units), *_unique_ids(rules)]
    return sorted(set(findings), key=lambda f: (f.file, f.line, f.check)), len(rules)


def _from_error(check: str, error: RuleError, file: str) -> Finding:
    parts = error.where.split(":")
    line = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 1
    return Finding(check, "error", file, line, error.message)


def _compiles(bundle: Bundle, units: list[_Unit]) -> Iterator[Finding]:
    try:
        trees = [unit.tree for unit in units]
        check_modules(trees, deterministic=True)
        check_declarations(trees)
        check_recursion(trees)
        check_safety(trees)
    except RuleError as error:
        yield _from_error("compiles", error, error.where.split(":")[0] or bundle.name)


def _unique_ids(rules: list[_Unit]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for unit in rules:
        meta = unit.meta
        if meta is None:
            continue
        if meta.id in seen:
            yield Finding("unique-id", "error", meta.file, meta.line, f"id {meta.id} is also used in {seen[meta.id]}")
        seen[meta.id] = meta.file


def package_fits_path(unit: _Unit) -> Iterator[Finding]:
    """`rules/<domain>/<rule>.rego` holds package `platform.rules.<domain>.<rule>`."""
    package = package_of(unit.module.text, unit.module.path)
    path = unit.module.path.removesuffix(".rego").replace("/", ".")
    expected = {"lib": "platform.", "obligations": "platform."}.get(path.split(".")[0], "platform.rules.")
    if package != expected + path:
        yield Finding("package-fits-path", "error", unit.module.path, 1, f"package {package}, not {expected}{path}")


def only_deny_is_public(unit: _Unit) -> Iterator[Finding]:
    """A rule's one public name is the set `deny` (an obligation's `oblige`); helpers start with `_`."""
    if unit.meta is None:
        return
    public = "oblige" if unit.meta.obligation_type else "deny"
    names = {_head(rule): rule for rule in unit.tree.rules}
    for name, rule in names.items():
        if name != public and not name.startswith("_"):
            yield Finding("only-deny-public", "error", unit.tree.file, rule.line, f"{name} is public; call it _{name}")
    if public not in names:
        yield Finding("only-deny-public", "error", unit.tree.file, 1, f"there is no {public}")
    for rule in unit.tree.rules:
        if _head(rule) == public and rule.head.key is None:
            yield Finding(
                "only-deny-public", "error", unit.tree.file, rule.line, f"{public} has to be a set (contains)"
            )


def violations_are_whole(unit: _Unit) -> Iterator[Finding]:
    """What `deny` holds has a path and a message."""
    if unit.meta is None or unit.meta.obligation_type:
        return
    for rule in unit.tree.rules:
        if _head(rule) != "deny" or not isinstance(rule.head.key, Var | Object):
            continue
        literal = rule.head.key if isinstance(rule.head.key, Object) else _assigned(rule, rule.head.key.name)
        keys = {k.text for k, _ in literal.pairs if isinstance(k, Scalar)} if literal else {'"path"', '"message"'}
        for name in ("path", "message"):
            if f'"{name}"' not in keys:
                yield Finding("whole-violation", "error", unit.tree.file, rule.line, f"a violation without {name}")


def has_test_and_case(unit: _Unit) -> Iterator[Finding]:
    """Each rule has a test file and readable cases beside it."""
    if unit.meta is None or unit.meta.obligation_type:
        return
    stem = unit.module.path.removesuffix(".rego")
    for wanted in (f"tests/{stem}_test.rego", f"tests/cases/{stem}.yaml"):
        if not os.path.isfile(os.path.join(unit.source, wanted)):
            yield Finding("has-test-and-case", "error", unit.module.path, 1, f"{wanted} is missing")


def unused_variables(unit: _Unit) -> Iterator[Finding]:
    """A variable that is assigned and never read is a mistake or a leftover."""
    for rule in unit.tree.rules:
        uses = [t.name for t in terms_of_rule(rule) if isinstance(t, Var)]
        uses += [t.name.split(".")[0] for t in terms_of_rule(rule) if isinstance(t, Call)]
        for body in bodies_of_rule(rule):
            for literal in statements_of(body):
                for name in _declared(literal.expr):
                    if name != "_" and uses.count(name) < 2:
                        yield Finding("unused-variable", "error", unit.tree.file, literal.line, f"{name} is never used")


def sprintf_counts(unit: _Unit) -> Iterator[Finding]:
    """As many values as verbs; OPA writes the difference into the message."""
    for rule in unit.tree.rules:
        for term in terms_of_rule(rule):
            if not (isinstance(term, Call) and term.name == "sprintf" and len(term.args) == 2):
                continue
            form, values = term.args
            if isinstance(form, Scalar) and isinstance(values, Array):
                verbs = sum(1 for v in _VERB.findall(json.loads(form.text)) if v != "%%")
                if verbs != len(values.items):
                    message = f"{verbs} verbs and {len(values.items)} values"
                    yield Finding("sprintf-counts", "error", unit.tree.file, term.line, message)


def no_url_globs(unit: _Unit) -> Iterator[Finding]:
    """`https://api.corp*` also matches `https://api.corp.evil.example`: compare parts of a parsed URL."""
    for rule in unit.tree.rules:
        for term in terms_of_rule(rule):
            if isinstance(term, Scalar) and _URL_GLOB.search(term.text):
                yield Finding(
                    "no-url-globs", "error", unit.tree.file, rule.line, "a URL with a wildcard; compare its parts"
                )


def lists_are_data(unit: _Unit) -> Iterator[Finding]:
    """Membership in a long literal is a list that belongs to `rules/data`."""
    if unit.meta is None:
        return
    for rule in unit.tree.rules:
        for term in terms_of_rule(rule):
            if isinstance(term, Array) and len(term.items) > 6 and all(isinstance(i, Scalar) for i in term.items):
                yield Finding(
                    "lists-are-data", "warning", unit.tree.file, rule.line, "a list of values; move it to rules/data"
                )


def not_too_long(unit: _Unit) -> Iterator[Finding]:
    """A rule that does not fit a screen is two rules."""
    lines = unit.module.text.splitlines()
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if unit.meta is not None and len(code) > _LONGEST_FILE:
        yield Finding(
            "not-too-long", "warning", unit.module.path, 1, f"{len(code)} lines of code; more than {_LONGEST_FILE}"
        )
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST_LINE:
            yield Finding("not-too-long", "warning", unit.module.path, number, f"a line of {len(line)} characters")
        if re.search(r"#.*\b(TODO|FIXME|XXX)\b", line):
            yield Finding("no-todo", "error", unit.module.path, number, "unfinished work in a rule that serves")


def shadows_nothing(unit: _Unit) -> Iterator[Finding]:
    """A variable named like a rule or import of its module hides it."""
    known = {_head(rule) for rule in unit.tree.rules} | {e.alias or e.path[-1] for e in unit.tree.imports}
    known |= {"input", "data"}
    for rule in unit.tree.rules:
        for body in bodies_of_rule(rule):
            for literal in statements_of(body):
                for name in sorted(_declared(literal.expr) & known):
                    yield Finding(
                        "shadows-nothing", "error", unit.tree.file, literal.line, f"{name} hides a rule or import"
                    )


def clock_is_an_input(unit: _Unit) -> Iterator[Finding]:
    """Rules compare with `input.now`; a constant instant ages."""
    for rule in unit.tree.rules:
        for term in terms_of_rule(rule):
            if isinstance(term, Scalar) and re.fullmatch(r'"\d{4}-\d\d-\d\dT[^"]*"', term.text):
                yield Finding(
                    "clock-is-input", "warning", unit.tree.file, rule.line, "an instant as a literal; make it data"
                )


CHECKS: tuple[Callable[[_Unit], Iterator[Finding]], ...] = (
    package_fits_path,
    only_deny_is_public,
    violations_are_whole,
    has_test_and_case,
    unused_variables,
    sprintf_counts,
    no_url_globs,
    lists_are_data,
    not_too_long,
    shadows_nothing,
    clock_is_an_input,
)


def _head(rule: Rule) -> str:
    head = rule.head.ref[0]
    return head.name if isinstance(head, Var) else ""


def _declared(expr: object) -> set[str]:
    if isinstance(expr, Infix) and expr.op == ":=":
        return pattern_variables(expr.left)
    if isinstance(expr, Some):
        return {name.name for name in expr.names}
    if isinstance(expr, SomeIn):
        return pattern_variables(expr.value) | (pattern_variables(expr.key) if expr.key is not None else set())
    return set()


def _assigned(rule: Rule, name: str) -> Object | None:
    """The object literal that a variable of the rule is assigned, if it is one."""
    for body in bodies_of_rule(rule):
        for literal in body:
            expr = literal.expr
            if isinstance(expr, Infix) and isinstance(expr.left, Var) and expr.left.name == name:
                return expr.right if isinstance(expr.right, Object) else None
    return None
