"""Rule metadata: the YAML in `# METADATA` comment blocks (OPA's annotation format), which the engine cannot see."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, RuleError
from governance.model.decision import DENY, EFFECTS, MODES, SEVERITIES
from governance.model.request import KINDS
from governance.policy.modes import ENFORCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from governance.model.request import Json

RULES_PREFIX, OBLIGATIONS_PREFIX = "platform.rules.", "platform.obligations."
GATEKEEPER_PREFIX = "gatekeeper.constraints."
_BLOCK = re.compile(r"^# METADATA[^\S\n]*\n(?P<yaml>(?:#[^\n]*\n)+)", re.MULTILINE)
_ID = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{3}")
# An imported constraint keeps its own name.
_CONSTRAINT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*/[a-z0-9][-.a-z0-9]*")


class RuleMeta(NamedTuple):
    """What is said about one rule, or about an obligation (then `obligation_type` is set)."""

    id: str
    package: str
    title: str
    description: str
    severity: str
    effect: str
    applies_to: tuple[str, ...]
    controls: tuple[str, ...]
    remediation: str
    file: str
    line: int
    obligation_type: str = ""
    mode: str = ENFORCE
    """What an imported constraint starts with, where the platform's own list of modes says nothing."""


@cache
def package_of(text: str, file: str) -> str:
    """Dotted package name of a module; raises RuleError when it has none.

    It is the parser's, never a text search's: who owns which package decides what a bundle may add to.
    """
    from governance.policy.rego.parser import parse_package

    return ".".join(parse_package(text, file))


def metadata_of(text: str, file: str) -> RuleMeta | None:
    """The metadata of a module that is a rule or an obligation by its package; None for every other module.

    Raises RuleError with file and line for a block that is missing, is not YAML or lacks something.
    """
    package = package_of(text, file)
    if not package.startswith((RULES_PREFIX, OBLIGATIONS_PREFIX, GATEKEEPER_PREFIX)):
        return None
    block = _BLOCK.search(text)
    if block is None:
        raise RuleError("no METADATA block", where=f"{file}:1", hint="see rules/README.md, 'add one rule'")
    line = text.count("\n", 0, block.start()) + 1
    raw = _yaml(block["yaml"], file, line)
    return (
        _obligation(raw, package, file, line)
        if package.startswith(OBLIGATIONS_PREFIX)
        else _rule(raw, package, file, line)
    )


def _yaml(block: str, file: str, line: int) -> dict[str, Json]:
    import yaml  # 15 ms; only a bundle that is compiled anew needs it

    from governance.policy.bundle_yaml import refuse_deep

    text = "\n".join(row.removeprefix("#").removeprefix(" ") for row in block.splitlines())
    try:
        refuse_deep(text)
        raw = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = line + 1 + (mark.line if mark else 0)
        raise RuleError("METADATA is not YAML", where=f"{file}:{at}") from error
    if not isinstance(raw, dict):
        raise RuleError("METADATA is not a mapping", where=f"{file}:{line}")
    return raw


def _rule(raw: dict[str, Json], package: str, file: str, line: int) -> RuleMeta:
    custom = raw.get("custom")
    custom = custom if isinstance(custom, dict) else {}
    where = f"{file}:{line}"
    rule_id = _text(custom, "id", where)
    is_imported = package.startswith(GATEKEEPER_PREFIX)
    shape, wanted = (_CONSTRAINT_ID, "Kind/name") if is_imported else (_ID, "DOMAIN-NNN")
    if not shape.fullmatch(rule_id):
        raise RuleError(f"id {rule_id!r} is not {wanted}", where=where)
    return RuleMeta(
        id=rule_id,
        package=package,
        title=_text(raw, "title", where),
        description=str(raw.get("description", "")),
        severity=_one_of(custom, "severity", SEVERITIES, where),
        effect=_one_of({"effect": DENY, **custom}, "effect", EFFECTS[1:], where),
        applies_to=_kinds(custom, where),
        controls=_texts(custom, "controls", where),
        remediation=_text(custom, "remediation", where),
        file=file,
        line=line,
        mode=_one_of({"mode": ENFORCE, **custom}, "mode", MODES, where) if is_imported else ENFORCE,
    )


def _obligation(raw: dict[str, Json], package: str, file: str, line: int) -> RuleMeta:
    custom = raw.get("custom")
    custom = custom if isinstance(custom, dict) else {}
    where = f"{file}:{line}"
    return RuleMeta(
        id=package.removeprefix(OBLIGATIONS_PREFIX),
        package=package,
        title=_text(raw, "title", where),
        description=str(raw.get("description", "")),
        severity="info",
        effect="",
        applies_to=_kinds(custom, where),
        controls=(),
        remediation="",
        file=file,
        line=line,
        obligation_type=_text(custom, "type", where),
    )


def _text(raw: dict[str, Json], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RuleError(f'no "{key}" in METADATA', where=where, hint="add it; rules/README.md shows a whole block")
    return value


def _texts(raw: dict[str, Json], key: str, where: str) -> tuple[str, ...]:
    value = raw.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise RuleError(f'"{key}" in METADATA is not a list of texts', where=where)
    return tuple(value)


def _one_of(raw: dict[str, Json], key: str, allowed: Sequence[str], where: str) -> str:
    value = _text(raw, key, where)
    if value not in allowed:
        raise RuleError(f"{key} {value!r} is not one of {', '.join(allowed)}", where=where)
    return value


def _kinds(custom: dict[str, Json], where: str) -> tuple[str, ...]:
    kinds = _texts(custom, "applies_to", where)
    unknown = sorted(set(kinds) - KINDS)
    if unknown:
        raise RuleError(f"applies_to names {unknown[0]!r}, which is no kind of request", where=where)
    return kinds


def _is_within(control: str, wanted: str) -> bool:
    """Whether a control is the one that is wanted or below it: `GDPR:Art.5.1` is within `GDPR:Art.5`, `GDPR:Art.52` is not."""
    return control.startswith(wanted) and not control[len(wanted) : len(wanted) + 1].isalnum()


def rules_of_control(rules: Iterable[RuleMeta], control: str) -> tuple[str, ...]:
    """Ids of the rules that name a control, or one within it: `SOC2:CC9.2`, `SOC2:CC9`, `SOC2`.

    Raises CallerError where none does, which no filter can express.
    """
    found = tuple(sorted(rule.id for rule in rules if any(_is_within(each, control) for each in rule.controls)))
    if not found:
        raise CallerError(f"no rule names the control {control[:60]!r}", hint="`governance rules list` shows them")
    return found
