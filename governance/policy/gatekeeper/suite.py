"""Gator's suites: a template, a constraint, and cases that say how many violations an object has. Source: `gator verify`.

Each case is asked of the very bundle that an import writes, through the entry point that the webhook uses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import GovernanceError
from governance.policy.active import engine_for
from governance.policy.build import compile_bundles, rules_of
from governance.policy.bundle import bundle_of
from governance.policy.gatekeeper.bundle import Imported, Source, bundle_files, import_documents, inventory_of
from governance.policy.gatekeeper.template import CannotImport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from governance.model.request import Json
    from governance.policy.compiler.compiled import CompiledPolicy

    Reader = Callable[[str], Sequence[Source]]
    """Documents of a file, named as the suite names it."""
    Question = Callable[[Json, str], "Asked"]
    """What a Kubernetes object or AdmissionReview of a file asks of the policy."""

_SUITE = frozenset({"apiVersion", "kind", "metadata", "tests", "skip"})
_TEST = frozenset({"name", "template", "constraint", "cases", "invalid", "skip"})
_CASE = frozenset({"name", "object", "inventory", "assertions", "skip"})
_ASSERTION = frozenset({"violations", "message"})
_YES = {"yes": True, "true": True, "no": False, "false": False}


class Asked(NamedTuple):
    """One question for the line's entry points."""

    kind: str
    text: str
    """The policy input as JSON."""


class Outcome(NamedTuple):
    """What became of one case, or of a test that did not get to its cases."""

    test: str
    case: str
    status: str
    """pass | fail | skip"""
    reason: str = ""


class _Runner(NamedTuple):
    read: Reader
    question: Question


class _Built(NamedTuple):
    compiled: CompiledPolicy
    kinds: frozenset[str]
    """Kinds of request that the constraint looks at."""


def run_suite(suite: Json, read: Reader, question: Question) -> list[Outcome]:
    """Every case of a suite. Raises CannotImport for a file that is none: an assertion that was misread would always hold."""
    _check(suite, _SUITE, "the suite")
    tests = suite.get("tests")
    if not isinstance(tests, list) or not tests:
        raise CannotImport("a suite has a list of tests", where="/tests")
    if suite.get("skip") is True:
        return [Outcome(str(test.get("name")), "", "skip") for test in tests]
    runner = _Runner(read, question)
    return [outcome for test in tests for outcome in _test(runner, test)]


def _test(runner: _Runner, test: Json) -> list[Outcome]:
    _check(test, _TEST, "a test")
    name = str(test.get("name"))
    if test.get("skip") is True:
        return [Outcome(name, "", "skip")]
    try:
        documents = [*_read(runner, test, "template"), *_read(runner, test, "constraint")]
        imported = import_documents(documents, [])
    except GovernanceError as error:
        return [Outcome(name, "", "fail", str(error))]
    if test.get("invalid") is True:
        return [_expected_invalid(name, imported)]
    if imported.refused or not imported.constraints:
        return [Outcome(name, "", "fail", "; ".join(imported.refused) or "there is no constraint in it")]
    cases = test.get("cases") or []
    built = _built(imported)
    return [_case(runner, name, case, built) for case in cases] or [Outcome(name, "", "fail", "it has no cases")]


def _expected_invalid(name: str, imported: Imported) -> Outcome:
    """The template has to be good and the constraint refused."""
    if imported.templates and not imported.constraints:
        return Outcome(name, "", "pass")
    return Outcome(name, "", "fail", "; ".join(imported.refused) or "the constraint was accepted")


def _built(imported: Imported) -> _Built:
    bundle = bundle_of(bundle_files(imported), "suite")
    rules = rules_of(bundle)
    return _Built(compile_bundles([bundle], rules), frozenset(kind for meta in rules for kind in meta.applies_to))


def _case(runner: _Runner, test: str, case: Json, built: _Built) -> Outcome:
    _check(case, _CASE, "a case")
    name = str(case.get("name"))
    if case.get("skip") is True:
        return Outcome(test, name, "skip")
    try:
        reason = _wrong(runner, case, built)
    except GovernanceError as error:
        reason = str(error)
    return Outcome(test, name, "fail" if reason else "pass", reason)


def _wrong(runner: _Runner, case: Json, built: _Built) -> str:
    """Why the case does not hold; empty where it does."""
    assertions = case.get("assertions")
    if not isinstance(assertions, list) or not assertions:
        return "it asserts nothing"
    objects = _read(runner, case, "object")
    if len(objects) != 1:
        return f"{case['object']} holds {len(objects)} objects"
    known = [source for file in case.get("inventory") or [] for source in runner.read(file)]
    asked = runner.question(objects[0].value, objects[0].where)
    messages = _messages(built, asked, inventory_of(known)) if asked.kind in built.kinds else []
    return next((reason for assertion in assertions if (reason := _unmet(assertion, messages))), "")


def _messages(built: _Built, asked: Asked, inventory: Json) -> list[str]:
    data = json.loads(built.compiled.data)
    data["gatekeeper"]["inventory"] = inventory
    engine = engine_for(built.compiled._replace(data=json.dumps(data)))
    answer = engine.rule(f"data.platform.main.{asked.kind}", asked.text)
    if answer.text is None:
        raise CannotImport("the policy gave no answer")
    return [row["found"]["message"] for row in json.loads(answer.text)["violations"]]


def _unmet(assertion: Json, messages: Sequence[str]) -> str:
    import re2

    _check(assertion, _ASSERTION, "an assertion")
    pattern = assertion.get("message")
    found = [text for text in messages if pattern is None or re2.search(pattern, text)]
    wanted = assertion.get("violations", "yes")
    wanted = _YES.get(wanted, wanted) if isinstance(wanted, str) else wanted
    met = len(found) == wanted if type(wanted) is int else bool(found) is wanted
    if not isinstance(wanted, bool | int):
        raise CannotImport(f"violations {str(wanted)[:20]!r} is neither yes, no nor a number")
    about = f" with {pattern!r}" if pattern is not None else ""
    return (
        ""
        if met
        else f"{len(found)} violations{about}, {assertion.get('violations', 'yes')} expected: {list(messages)}"
    )


def _read(runner: _Runner, owner: Json, name: str) -> Sequence[Source]:
    file = owner.get(name)
    if not isinstance(file, str) or not file:
        raise CannotImport(f"{name} has to name a file")
    return runner.read(file)


def _check(owner: Json, known: frozenset[str], what: str) -> None:
    unknown = sorted(set(owner) - known) if isinstance(owner, dict) else ["?"]
    if unknown:
        raise CannotImport(f"{what} has no member {unknown[0][:60]!r}")
