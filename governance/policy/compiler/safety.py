"""Unsafe variables, refused at load: a variable that no statement binds has no value to test.

The engine notices some of them, only when it gets there, and reads others as "any": under `not` that is an allow. The
rules are those of OPA's compiler: statements may be put in any order, and one is in place as soon as each of its
variables is bound by the ones before it or by itself. References bind what stands in their brackets, `=` what stands
opposite a bound side, a call its output; nothing is bound under `not`, and a nested body binds for itself alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from governance.policy.builtins.signatures import signatures
from governance.policy.compiler.binding import Binder, closures_in, free_in_closures, needs, wildcard
from governance.policy.compiler.checks import CompileError, ref_name
from governance.policy.compiler.declarations import declared_later
from governance.policy.rego.syntax import Call, Comprehension, Every, Infix, Literal, Ref, Rule, Var
from governance.policy.rego.walk import declared_in, pattern_variables, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import Module, Term


class UnsafeVariable(CompileError):
    """A variable without a value."""

    code = "rego_unsafe_var_error"


class _Scope(NamedTuple):
    """What is bound where a body starts, and which names stand for rules and imports."""

    bound: frozenset[str]
    constants: frozenset[str]

    def entering(self, declared: Iterable[str]) -> _Scope:
        """The scope inside a body that declares these names: they hide what had them before."""
        hidden = frozenset(declared)
        return _Scope(self.bound - hidden, self.constants - hidden)

    def without(self, names: AbstractSet[str], outer: _Scope) -> _Scope:
        """The scope where these names still mean what they mean further out."""
        return _Scope(
            (self.bound - names) | (outer.bound & names), (self.constants - names) | (outer.constants & names)
        )

    def binding(self, names: Iterable[str]) -> _Scope:
        """The scope with more variables bound."""
        more = frozenset(names)
        return _Scope(self.bound | more, self.constants - more)


def check_safety(trees: Sequence[Module]) -> None:
    """Refuse the first unsafe variable, by its name and place."""
    rules: dict[tuple[str, ...], set[str]] = {}
    arities = {name: len(row.args) for name, row in signatures().items() if not row.is_variadic}
    for tree in trees:
        names = rules.setdefault(tuple(tree.package), set())
        for rule in tree.rules:
            names.add(ref_name(rule).split(".")[0])
            if rule.head.args is not None:
                arities[f"data.{'.'.join(tree.package)}.{ref_name(rule)}"] = len(rule.head.args)
    for tree in trees:
        aliases = {entry.alias or entry.path[-1]: ".".join(entry.path) for entry in tree.imports}
        constants = frozenset(rules[tuple(tree.package)] | set(aliases) | {"input", "data"})
        check = _Safety(tree, _arities_in(tree, arities, aliases))
        for rule in tree.rules:
            if not rule.is_default:
                check.rule(rule, _Scope(frozenset(), constants))


def _arities_in(tree: Module, arities: dict[str, int], aliases: dict[str, str]) -> dict[str, int]:
    """Arities by every name that a call may be written with in this module."""
    found = dict(arities)
    package = f"data.{'.'.join(tree.package)}."
    for name, arity in arities.items():
        if name.startswith(package):
            found[name.removeprefix(package)] = arity
        for alias, path in aliases.items():
            if name == path or name.startswith(path + "."):
                found[alias + name.removeprefix(path)] = arity
    return found


class _Safety:
    """The check for one module."""

    def __init__(self, tree: Module, arities: dict[str, int]) -> None:
        self._file = tree.file
        self._arities = arities

    def rule(self, rule: Rule, scope: _Scope) -> None:
        for argument in rule.head.args or ():
            if any(isinstance(term, Ref | Call) for term in terms_of(argument)):
                raise UnsafeVariable("an argument is not a pattern", where=f"{self._file}:{rule.line}:{rule.column}")
            scope = scope.binding(pattern_variables(argument))
        head = rule.head
        self._body(rule.body or [], [*head.ref[1:], head.key, head.value], scope, rule.line)
        for branch in rule.elses:
            self._body(branch.body or [], [branch.value], scope, rule.line)

    def _body(self, body: list[Literal], heads: Sequence[Term | None], scope: _Scope, line: int) -> None:
        """A body with the head terms that are evaluated at its end."""
        outer, scope = scope, scope.entering(declared_in(body))
        ends = [
            Literal(Infix("=", Var(f"{wildcard(n)}"), head), line=line)
            for n, head in enumerate(heads)
            if head is not None
        ]
        later = declared_later(body)
        for literal in self._ordered([*body, *ends], scope, later):
            self._closures(literal, scope.without(later.get(id(literal), set()), outer))
            scope = scope.binding(needs(literal, scope.constants))

    def _ordered(self, body: list[Literal], scope: _Scope, later: Mapping[int, set[str]]) -> list[Literal]:
        """The statements in an order in which each is safe."""
        everywhere = {name for literal in body for name in needs(literal, scope.constants)}
        waiting, ordered = list(body), list[Literal]()
        bound = set(scope.bound)
        while waiting:
            ready: list[Literal] = []
            for literal in waiting:
                made = Binder(bound, scope.constants, self._arities).outputs(literal)
                closed = self._closed(literal, scope, later) & everywhere
                if needs(literal, scope.constants) - bound - made or closed - bound:
                    continue
                ready.append(literal)
                bound |= made
            if not ready:
                self._refuse(waiting[0], bound, scope, self._closed(waiting[0], scope, later) & everywhere)
            ordered += ready
            waiting = [literal for literal in waiting if not any(literal is done for done in ready)]
        return ordered

    def _closed(self, literal: Literal, scope: _Scope, later: Mapping[int, set[str]]) -> set[str]:
        """What nested bodies take from this one; a name that is declared further down is not that variable yet."""
        return free_in_closures(literal, scope.constants) - later.get(id(literal), set())

    def _refuse(self, literal: Literal, bound: set[str], scope: _Scope, closed: set[str]) -> NoReturn:
        made = Binder(bound, scope.constants, self._arities).outputs(literal)
        missing = sorted((needs(literal, scope.constants) - made - bound) | (closed - bound))
        written = [name for name in missing if not name.startswith("_@")]
        named = f"vars {', '.join(written)} are" if len(written) > 1 else f"var {written[0] if written else '_'} is"
        place = f"{self._file}:{literal.line}:{max(literal.column, 1)}"
        raise UnsafeVariable(f"{named} unsafe", where=place, hint="no statement gives it a value")

    def _closures(self, literal: Literal, scope: _Scope) -> None:
        """The nested bodies of a statement that is in place, each with what is bound before it."""
        for closure in closures_in(literal):
            if isinstance(closure, Every):
                names = {closure.value.name} | ({closure.key.name} if closure.key is not None else set())
                self._body(closure.body, [], scope.binding(names), literal.line)
            elif isinstance(closure, Comprehension):
                self._body(closure.body, [closure.key, closure.value], scope, literal.line)
