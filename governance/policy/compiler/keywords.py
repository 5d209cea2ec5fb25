"""Rules whose name starts with a keyword (`if.allowed := …`), which OPA knows and the engine does not.

Such a rule moves to a package of its own below the module's (`package p["if"]`, rule `allowed`): the same place in `data`.
What it and its neighbours call by short names is then written out in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.errors import RuleError
from governance.policy.rego.cursor import ALWAYS, NEW
from governance.policy.rego.syntax import Call, Every, Module, Ref, Scalar, Var
from governance.policy.rego.walk import (
    bodies,
    bodies_of_rule,
    declared_in,
    pattern_variables,
    rewritten,
    statements_of,
    terms_of_rule,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import Literal, Rule, Term

_KEYWORDS = ALWAYS | NEW


def move_keyword_rules(trees: Sequence[Module]) -> list[Module]:
    """The modules with those rules moved; the others as they are. Raises RuleError where a name cannot be kept apart."""
    moved_names: dict[tuple[str, ...], set[str]] = {}
    for tree in trees:
        moved_names.setdefault(tuple(tree.package), set()).update(_keyword_of(rule) for rule in tree.rules)
    found: list[Module] = []
    for tree in trees:
        keywords = moved_names[tuple(tree.package)] - {""}
        if keywords:
            found += _split(tree, keywords, _names(trees, tree.package))
        else:
            found.append(tree)
    return found


def _split(tree: Module, keywords: AbstractSet[str], names: AbstractSet[str]) -> list[Module]:
    own: list[Rule] = []
    moved: dict[str, list[Rule]] = {}
    for rule in tree.rules:
        keyword = _keyword_of(rule)
        if keyword:
            _refuse_shadows(rule, names, tree.file)
            head = rule.head.ref
            first = head[1]
            if not isinstance(first, Scalar) or first.text[:1] != '"' or not first.text[1:-1].isidentifier():
                raise RuleError("only a plain name may follow a keyword", where=f"{tree.file}:{rule.line}")
            rule.head.ref = [Var(first.text[1:-1]), *head[2:]]
            moved.setdefault(keyword, []).append(rule)
        else:
            own.append(rule)
    place = [Scalar(f'"{part}"') for part in tree.package]
    left = rewritten(own, _Rooted(place, keywords).change, heads=False)
    result = [Module(tree.file, tree.package, tree.imports, left, tree.is_v0)]
    for keyword, rules in moved.items():
        gone = rewritten(rules, _Rooted(place, keywords | names).change, heads=False)
        package = [*tree.package, keyword]
        result.append(Module(f"{tree.file}#{keyword}", package, tree.imports, gone, tree.is_v0))
    return result


def _keyword_of(rule: Rule) -> str:
    first = rule.head.ref[0]
    is_moved = isinstance(first, Var) and first.name in _KEYWORDS and len(rule.head.ref) > 1
    return first.name if is_moved and isinstance(first, Var) else ""


def _names(trees: Sequence[Module], package: Sequence[str]) -> set[str]:
    heads = (rule.head.ref[0] for tree in trees if tree.package == package for rule in tree.rules)
    return {head.name for head in heads if isinstance(head, Var)}


def _refuse_shadows(rule: Rule, names: AbstractSet[str], file: str) -> None:
    """A local variable of a rule's name could not be told from the rule once names are written out."""
    local = set().union(*(pattern_variables(argument) for argument in rule.head.args or ()))
    tops = [*bodies_of_rule(rule), *(body for term in terms_of_rule(rule) for body in bodies(term))]
    for body in tops:
        local |= declared_in(body)
        for inner in _everies(body):
            local |= declared_in(inner.body) | {name.name for name in (inner.key, inner.value) if name is not None}
    shadows = sorted(local & names)
    if shadows:
        raise RuleError(
            f"{shadows[0]} is a rule's name and a variable in a rule that starts with a keyword",
            where=f"{file}:{rule.line}", hint="rename one of the two",
        )  # fmt: skip


def _everies(body: Sequence[Literal]) -> list[Every]:
    return [literal.expr for literal in statements_of(list(body)) if isinstance(literal.expr, Every)]


class _Rooted:
    """Writes references and calls that start with one of `names` as starting with `data`."""

    def __init__(self, place: Sequence[Scalar], names: AbstractSet[str]) -> None:
        self._place = place
        self._names = names

    def change(self, node: Any) -> Any:
        if isinstance(node, Var) and node.name in self._names:
            place: list[Term] = [*self._place, Scalar(f'"{node.name}"')]
            return Ref(Var("data", node.line, node.column), place, node.line, node.column)
        if isinstance(node, Ref) and isinstance(node.head, Ref):
            inner = node.head
            node.head, node.args = inner.head, [*inner.args, *node.args]
        if isinstance(node, Call) and node.name.partition(".")[0] in self._names:
            node.name = ".".join(["data", *(part.text[1:-1] for part in self._place), node.name])
        return node
