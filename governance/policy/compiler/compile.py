"""Source modules to a policy that may serve: parse, check, rewrite, print; one form for each executor."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.policy.builtins.registry import extensions
from governance.policy.compiler.checks import check_modules, functions_of, ref_name
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.compiler.declarations import check_declarations
from governance.policy.compiler.dotted_defaults import move_dotted_defaults
from governance.policy.compiler.eligible import eligible_trees, needed_trees
from governance.policy.compiler.general_heads import generalise_heads
from governance.policy.compiler.guards import guard
from governance.policy.compiler.hoist import Names, hoist
from governance.policy.compiler.imports import spell_out_imports
from governance.policy.compiler.keywords import move_keyword_rules
from governance.policy.compiler.mocks import name_mocked_functions
from governance.policy.compiler.outputs import assign_outputs
from governance.policy.compiler.recursion import check_recursion
from governance.policy.compiler.safety import check_safety
from governance.policy.engine import compile_program
from governance.policy.rego.parser import parse_module
from governance.policy.rego.printer import Printer
from governance.policy.rego.syntax import Call, Var
from governance.policy.rego.walk import terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from governance.model.request import Json
    from governance.policy.rego.syntax import Module as Tree


class Module(NamedTuple):
    """One Rego file as written."""

    path: str
    text: str
    v0: bool = False


def compile_policy(
    modules: Sequence[Module],
    *,
    data: Json = None,
    entrypoints: Sequence[str] = (),
    strict: bool = False,
    lenient: bool = False,
    lenient_packages: Sequence[tuple[str, ...]] = (),
    deterministic: bool = True,
) -> CompiledPolicy:
    """Everything the engine needs to answer for these modules.

    `strict`: a builtin's error is no answer instead of undefined; with `lenient` a question may still ask for undefined, as
    other people's policies expect it. `lenient_packages`: below these paths an error is undefined also where everything else
    is strict. `deterministic`: builtins that read the clock, the
    network or chance are refused. `entrypoints`: rules that the fast executor may serve once it was proved equal; where
    it cannot compile them the interpreter serves. Raises RuleError with file:line:column for what must not serve.
    """
    try:
        trees = [parse_module(module.text, module.path, is_v0=module.v0) for module in modules]
        wanted = _Wanted(data, entrypoints, strict, lenient or not strict, tuple(lenient_packages))
        return _compiled(trees, wanted, deterministic=deterministic)
    except RecursionError:
        raise RuleError("a rule is nested too deeply", hint="split it into rules with names") from None


class _Wanted(NamedTuple):
    """What a policy is compiled for."""

    data: Json
    entrypoints: Sequence[str]
    strict: bool
    lenient: bool
    lenient_packages: Sequence[tuple[str, ...]]

    def is_lenient(self, tree: Tree) -> bool:
        return any(tuple(tree.package[: len(path)]) == path for path in self.lenient_packages)


def _compiled(trees: list[Tree], wanted: _Wanted, *, deterministic: bool) -> CompiledPolicy:
    trees = move_keyword_rules(trees)
    check_modules(trees, deterministic=deterministic)
    generalise_heads(trees)
    move_dotted_defaults(trees)
    check_declarations(trees)
    check_recursion(trees)
    check_safety(trees)
    name_mocked_functions(trees)
    spell_out_imports(trees)
    for tree in trees:
        assign_outputs(tree)
    text = json.dumps(wanted.data if wanted.data is not None else {}, ensure_ascii=False)
    plain, origins = _printed(trees, full=False)
    guarded: tuple[tuple[str, str], ...] = ()
    mixed: tuple[tuple[str, str], ...] = ()
    if wanted.lenient:
        guarded, _ = _printed(trees, full=False, guarded=lambda _: True)
    if wanted.strict and any(map(wanted.is_lenient, trees)):
        mixed, _ = _printed(trees, full=False, guarded=wanted.is_lenient)
    fast, program = _program(trees, text, wanted.entrypoints)
    return CompiledPolicy(plain, guarded, text, origins, fast, program, wanted.strict, _needs(trees), mixed)


def _needs(trees: Sequence[Tree]) -> tuple[str, ...]:
    """Python builtins that any rule calls."""
    names = {t.name for tree in trees for rule in tree.rules for t in terms_of_rule(rule) if isinstance(t, Call)}
    return tuple(sorted(names & set(extensions())))


def _program(trees: Sequence[Tree], data: str, entrypoints: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """The entry points that reach only what the fast executor may be tried on, and their program."""
    eligible = eligible_trees(trees)
    rules = {".".join(["data", *tree.package, ref_name(rule)]) for tree in eligible for rule in tree.rules}
    served = tuple(path for path in entrypoints if path in rules)
    if not served:
        return (), b""
    full, _ = _printed(needed_trees(eligible, served), full=True)
    try:
        return served, compile_program(full, data, served)
    except RuleError:
        return (), b""


def _printed(
    trees: Sequence[Tree], *, full: bool, guarded: Callable[[Tree], bool] | None = None
) -> tuple[tuple[tuple[str, str], ...], dict[str, list[int]]]:
    names, functions = rule_names(trees), functions_of(trees)
    found: list[tuple[str, str]] = []
    origins: dict[str, list[int]] = {}
    copies: list[Tree] = pickle.loads(pickle.dumps(list(trees)))  # noqa: S301  our own, a moment ago: a third of deepcopy's time
    for tree in copies:
        hoist(tree, _names_in(tree, names, functions), full=full)
    if guarded is not None:
        guard(copies, guarded)
    for tree in copies:
        printer = Printer()
        found.append((tree.file, printer.module(tree)))
        origins[tree.file] = printer.origin
    return tuple(found), origins


def _names_in(tree: Tree, rules: dict[str, set[str]], functions: set[str]) -> Names:
    """What names stand for in one module: its own rules, its imports, and every function as it can be written there."""
    package = ".".join(tree.package)
    imported = {entry.alias or entry.path[-1]: ".".join(entry.path) for entry in tree.imports}
    written = set(functions)
    for short, full in (("", f"data.{package}."), *((f"{alias}.", f"{path}.") for alias, path in imported.items())):
        written |= {short + name.removeprefix(full) for name in functions if name.startswith(full)}
    written |= {alias for alias, path in imported.items() if path in functions}
    return Names(rules[package] | set(imported), written)


def rule_names(trees: Sequence[Tree]) -> dict[str, set[str]]:
    """Names of the rules of each package, over all its files."""
    names: dict[str, set[str]] = {}
    for tree in trees:
        known = names.setdefault(".".join(tree.package), set())
        known |= {rule.head.ref[0].name for rule in tree.rules if isinstance(rule.head.ref[0], Var)}
    return names
