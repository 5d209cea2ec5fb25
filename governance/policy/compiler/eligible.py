"""Which modules the fast executor may be tried on: only constructs on which it is known to agree with the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.builtins.registry import MISSING_IN_ENGINE, OVERRIDDEN
from governance.policy.rego.syntax import Call, Member, Object, Scalar, Var
from governance.policy.rego.walk import bodies_of_rule, statements_of, terms_of_rule

if TYPE_CHECKING:
    from governance.policy.rego.syntax import Module, Rule

# `walk` relations cannot be looped over there; the others panic or differ.
_EXCLUDED = frozenset({"walk", "strings.count", "json.match_schema", "json.verify_schema", "print", "trace"})


def ineligible_reason(tree: Module) -> str:
    """Empty when the fast executor may be tried, else why not."""
    for rule in tree.rules:
        reason = _reason(rule)
        if reason:
            return f"{tree.file}:{rule.line}: {reason}"
    return _several_values(tree)


def _reason(rule: Rule) -> str:
    head = rule.head
    if len(head.ref) > 1:
        return "a rule's name is a reference"
    if rule.is_default and head.args is not None:
        return "a function has a default, which is never taken there"
    for body in bodies_of_rule(rule):
        if any(literal.withs for literal in statements_of(body)):
            return "`with` is used"
    for term in terms_of_rule(rule):
        if isinstance(term, Member) and term.key is not None:
            return "`k, v in …` is tested, which looks at the value alone there"
        if isinstance(term, Call) and term.name in _EXCLUDED | MISSING_IN_ENGINE | OVERRIDDEN:
            return f"{term.name} is called"
    return ""


def _several_values(tree: Module) -> str:
    """A complete rule with several bodies may conflict, and this executor never says so."""
    seen: dict[str, str] = {}
    for rule in tree.rules:
        head = rule.head
        name = head.ref[0]
        if rule.is_default or head.key is not None or not isinstance(name, Var):
            continue
        value = _constant(rule)
        if name.name in seen and (value == "" or seen[name.name] != value):
            return f"{tree.file}:{rule.line}: {name.name} may have several values"
        seen[name.name] = value
    return ""


def _constant(rule: Rule) -> str:
    """The text of a value that cannot vary; empty where it can."""
    if rule.elses:
        return ""
    if rule.head.value is None:
        return "true"
    return (
        rule.head.value.text if isinstance(rule.head.value, Scalar) else "{}" if rule.head.value == Object([]) else ""
    )
