"""The entry module: one rule per request kind that unites every rule and obligation that applies to it.

A static union is the fastest form measured; a wildcard over packages costs twice as much. An obligation or rule that
is undefined contributes nothing only because partial sets are never undefined: their packages must exist.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY_PACKAGE = "platform.main"


class RuleEntry(NamedTuple):
    """One rule or obligation as the entry module needs it."""

    id: str
    """Rule id, or the obligation's name."""
    package: str
    """Dotted, without `data.`."""
    applies_to: tuple[str, ...]
    obligation_type: str = ""
    """Empty for a rule."""


def entry_module(entries: Sequence[RuleEntry], kinds: Sequence[str]) -> str:
    """Rego text of package `platform.main`; a kind without rules gets no entry, and so no answer."""
    lines = [f"package {ENTRY_PACKAGE}", ""]
    for kind in kinds:
        rules = [e for e in entries if kind in e.applies_to and not e.obligation_type]
        duties = [e for e in entries if kind in e.applies_to and e.obligation_type]
        if not rules:
            continue
        lines += [_union(f"_{kind}_violations", "rule", rules), _union(f"_{kind}_obligations", "name", duties)]
        lines += [
            (
                f'{kind} := {{"violations": [v | some v in _{kind}_violations], '
                f'"obligations": [o | some o in _{kind}_obligations]}}'
            ),
            "",
        ]
    return "\n".join(lines) + "\n"


def _union(name: str, key: str, entries: Sequence[RuleEntry]) -> str:
    """A partial set with one rule per package; `{}` merged in keeps it defined when there is none."""
    if not entries:
        return f"{name} := set()\n"
    return "\n".join(_contribution(name, key, entry) for entry in entries) + "\n"


def _contribution(name: str, key: str, entry: RuleEntry) -> str:
    label = json.dumps(entry.id)
    if entry.obligation_type:
        kind = json.dumps(entry.obligation_type)
        return (
            f"{name} contains e if {{ some v in data.{entry.package}.oblige; "
            f'e := {{"{key}": {label}, "type": {kind}, "value": v}} }}'
        )
    return f'{name} contains e if {{ some v in data.{entry.package}.deny; e := {{"{key}": {label}, "found": v}} }}'
