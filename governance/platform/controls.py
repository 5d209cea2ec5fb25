"""Controls of outside frameworks: which rules serve them, what the log shows about them, and where it shows nothing.

Rules name their controls in METADATA; `rules/controls.yaml` is the catalogue of what may be named. Neither decides anything.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.platform.evidence import decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from audit.reader import LogReader
    from audit.store import Filter
    from governance.model.request import Json
    from governance.policy.metadata import RuleMeta

FILE = "controls.yaml"
_MOST_PLACES = 20


class Framework(NamedTuple):
    """One framework of the catalogue."""

    name: str
    title: str
    is_required: bool
    """Every rule names at least one of its controls."""
    controls: Mapping[str, str]
    """Id within the framework to a title in our words."""


class Coverage(NamedTuple):
    """How rules and catalogue fit each other."""

    served: Mapping[str, tuple[str, ...]]
    """Control (`SOC2:CC6.1`) to the ids of the rules that name it."""
    unserved: tuple[str, ...]
    """Controls of the catalogue that no rule names."""
    unknown: tuple[str, ...]
    """`RULE names CONTROL` for controls that the catalogue does not have."""
    missing: tuple[str, ...]
    """`RULE names no control of FRAMEWORK` for the required ones."""


class Evidence(NamedTuple):
    """What the log shows about one control over a period."""

    control: str
    title: str
    rules: tuple[str, ...]
    decided: int
    """Decisions in which at least one of its rules was asked."""
    not_met: int
    """Of these, how many held a violation that nothing excused."""
    waived: int
    """Of these, how many held a violation that a waiver excused."""
    places: tuple[int, ...]
    """Where in the log the first of both stand."""


def load_catalogue(rules_folder: str) -> dict[str, Framework]:
    """The catalogue beside a rule pack. Raises RuleError where there is none, or where it has another form."""
    import yaml

    path = os.path.join(rules_folder, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.load(file, Loader=yaml.CSafeLoader)
        return {
            str(name): Framework(str(name), str(row["title"]), bool(row["required"]), _titles(row["controls"]))
            for name, row in document.items()
        }
    except OSError as error:
        raise RuleError(f"no catalogue of controls: {error.strerror}", where=path) from error
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise RuleError(f"not a catalogue of controls: {type(error).__name__}", where=path) from error


def coverage(catalogue: Mapping[str, Framework], rules: Iterable[RuleMeta]) -> Coverage:
    """Which controls are served by which rules, and what is missing on either side."""
    served: dict[str, list[str]] = {}
    unknown: list[str] = []
    missing: list[str] = []
    for meta in sorted(rules, key=lambda meta: meta.id):
        for control in meta.controls:
            if title_of(catalogue, control) is None:
                unknown.append(f"{meta.id} names {control}")
            served.setdefault(control, []).append(meta.id)
        named = {control.partition(":")[0] for control in meta.controls}
        missing += [
            f"{meta.id} names no control of {framework.name}"
            for framework in catalogue.values()
            if framework.is_required and framework.name not in named
        ]
    every = [f"{framework.name}:{control}" for framework in catalogue.values() for control in framework.controls]
    unserved = tuple(control for control in every if control not in served)
    return Coverage({c: tuple(ids) for c, ids in sorted(served.items())}, unserved, tuple(unknown), tuple(missing))


def title_of(catalogue: Mapping[str, Framework], control: str) -> str | None:
    """A control's title; None for one that the catalogue does not have."""
    framework, _, name = control.partition(":")
    return catalogue[framework].controls.get(name) if framework in catalogue else None


def evidence(
    log: LogReader, wanted: Filter, catalogue: Mapping[str, Framework], rules: Sequence[RuleMeta]
) -> list[Evidence]:
    """One row for each control that rules serve, over the decisions that `wanted` names; in one pass over the log."""
    served = coverage(catalogue, rules).served
    of_kind: dict[str, set[str]] = {}
    for meta in rules:
        for kind in meta.applies_to:
            of_kind.setdefault(kind, set()).update(meta.controls)
    counts = {control: [0, 0, 0] for control in served}
    places: dict[str, list[int]] = {control: [] for control in served}
    controls_of = {meta.id: meta.controls for meta in rules}
    for decision in decisions(log, wanted):
        if decision.is_made:  # what could not be evaluated shows nothing about any control
            for control in of_kind.get(decision.kind, ()):
                counts[control][0] += 1
        for at, ids in ((1, decision.open), (2, decision.waived)):
            for control in {c for rule in ids for c in controls_of.get(rule, ())}:
                counts[control][at] += 1
                if len(places[control]) < _MOST_PLACES and decision.index not in places[control][-1:]:
                    places[control].append(decision.index)
    return [
        Evidence(control, title_of(catalogue, control) or "", ids, decided, not_met, waived, tuple(places[control]))
        for control, ids in served.items()
        for decided, not_met, waived in [counts[control]]
    ]


def _titles(rows: Json) -> dict[str, str]:
    return {str(name): str(title) for name, title in rows.items()}
