"""What OPA refuses at compile time and the engine notices only when it gets there, if at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.errors import RuleError
from governance.policy.builtins.registry import available
from governance.policy.builtins.signatures import signatures
from governance.policy.rego.syntax import Call, Scalar, Var
from governance.policy.rego.walk import terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import Module, Rule


class CompileError(RuleError):
    """A module that parses but must not serve."""

    code = "rego_compile_error"


class UnknownFunction(CompileError):
    """A call of something that is neither a builtin nor a function of these modules."""

    code = "rego_type_error"


def check_modules(trees: Sequence[Module], *, deterministic: bool, known: AbstractSet[str] = frozenset()) -> None:
    """Refuse unknown functions, wrong argument counts and, if asked, builtins that read clock, network or chance.

    `known`: functions of modules that were checked before, in full from `data`.
    """
    functions = functions_of(trees) | known
    for tree in trees:
        aliases = {entry.alias or entry.path[-1]: ".".join(entry.path) for entry in tree.imports}
        for rule in tree.rules:
            for term in terms_of_rule(rule):
                if isinstance(term, Call):
                    _check_call(tree, term, functions, aliases, deterministic=deterministic)
        _check_kinds(tree)


def _check_call(
    tree: Module, call: Call, functions: AbstractSet[str], aliases: dict[str, str], *, deterministic: bool
) -> None:
    where = f"{tree.file}:{call.line}:{call.column}"
    head, _, rest = call.name.partition(".")
    full = f"{aliases[head]}.{rest}".rstrip(".") if head in aliases else call.name
    if full in functions or f"data.{'.'.join(tree.package)}.{call.name}" in functions:
        return
    signature = signatures().get(call.name)
    if signature is None or call.name not in available():
        raise UnknownFunction(
            f"undefined function {call.name}", where=where, hint="`governance rules lint` lists the builtins"
        )
    if deterministic and not signature.is_deterministic:
        raise CompileError(
            f"{call.name} does not give the same answer twice", where=where, hint="read `input.now` or a fact instead"
        )
    extra = len(call.args) - len(signature.args)
    if extra not in {0, 1} and not signature.is_variadic:
        raise UnknownFunction(f"{call.name} takes {len(signature.args)} arguments, {len(call.args)} given", where=where)


def functions_of(trees: Sequence[Module]) -> set[str]:
    """Every function of these modules, in full from `data`."""
    found: set[str] = set()
    for tree in trees:
        for rule in tree.rules:
            if rule.head.args is not None:
                found.add(f"data.{'.'.join(tree.package)}.{ref_name(rule)}")
    return found


def ref_name(rule: Rule) -> str:
    """The rule's name as dotted text: constant parts only."""
    parts: list[str] = []
    for part in rule.head.ref:
        if isinstance(part, Var) and not parts:
            parts.append(part.name)
        elif isinstance(part, Scalar):
            parts.append(part.text.strip('"'))
    return ".".join(parts)


def _check_kinds(tree: Module) -> None:
    """One name is one kind of rule: OPA refuses a function that is also a value, or a set that is also an object."""
    kinds: dict[str, tuple[str, int]] = {}
    for rule in tree.rules:
        if len(rule.head.ref) > 1:
            continue
        name = ref_name(rule)
        kind = "function" if rule.head.args is not None else "set" if rule.head.key is not None else "value"
        seen = kinds.setdefault(name, (kind, rule.line))
        if seen[0] != kind:
            raise CompileError(
                f"rule {name} is a {kind} here and a {seen[0]} in line {seen[1]}", where=f"{tree.file}:{rule.line}:1"
            )
