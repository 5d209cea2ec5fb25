"""The rule pack through the compiler and the engine that serve it, on its own tests, its cases and the example app."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from governance.errors import NoAnswer
from governance.model.patch import patched
from governance.model.pointer import resource_pointer
from governance.policy.build import compile_bundles, rules_of
from governance.policy.bundle import load_bundle, owned_roots, refuse_overlap
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.engine import Engine
from governance.policy.proof import canonical_sets, mutants

ROOT = Path(__file__).parents[3]
RULES = ROOT / "rules"
EXAMPLE = ROOT / "deploy" / "examples" / "where2eat"
FILES = ("infrastructure", "image_build", "pipeline", "registry_entry")
PEOPLE = ("consent", "call_for_person", "revocation", "approval_taken_back")
ACTS = ("connector_call", "data_flow", "flow_to_url", "app_call", "app_answer", "publish", "lifecycle")
KINDS = ("template", "deploy", *ACTS, *PEOPLE, "workload", *FILES)


@cache
def pack():
    return load_bundle(str(RULES))


@cache
def served():
    """The pack with its entry points, as it serves before the fast executor is proved."""
    return Engine(compile_bundles([pack()], rules_of(pack()))._replace(fast=()))


@cache
def with_tests():
    """The pack with its Rego tests."""
    tests = [
        Module(f"tests/{f.relative_to(RULES / 'tests')}", f.read_text()) for f in (RULES / "tests").rglob("*.rego")
    ]
    return Engine(compile_policy([*pack().modules, *tests], data=pack().data, strict=True))


def good(name):
    """One good request as the Rego tests use it."""
    return json.loads(with_tests().rule(f"data.tests.lib.requests.{name}", "{}").text)


def said(path, request):
    """The answer, or what stands in its place."""
    try:
        return served().rule(path, json.dumps(request)).text or "undefined"
    except NoAnswer as error:
        return str(error)


def violations(request):
    answer = json.loads(served().rule(f"data.platform.main.{request['kind']}", json.dumps(request)).text)
    return [{"rule": v["rule"], **v.get("found", v)} for v in answer["violations"]]


def obligations(request):
    answer = json.loads(served().rule(f"data.platform.main.{request['kind']}", json.dumps(request)).text)
    return answer["obligations"]


def with_resource(request, resource):
    """The request about another manifest."""
    return {**request, "resource": resource, "app": {**resource["spec"], "name": resource["metadata"]["name"]}}


def manifest(name):
    return yaml.safe_load((EXAMPLE / name).read_text())


@pytest.mark.parametrize("name", KINDS)
def test_a_good_request_of_each_kind_meets_every_rule(name):
    assert violations(good(name)) == []


@pytest.mark.parametrize("file", sorted((RULES / "tests").rglob("*_test.rego")), ids=lambda file: file.stem)
def test_the_rego_tests_of_a_rule_pass(file):
    text = file.read_text()
    package = re.search(r"^package (\S+)", text, re.MULTILINE)[1]
    names = re.findall(r"^(test_\w+) if", text, re.MULTILINE)
    answers = {name: with_tests().rule(f"data.{package}.{name}", "{}").text for name in names}
    assert names
    assert {name for name, answer in answers.items() if answer != "true"} == set()


@pytest.mark.parametrize("file", sorted((RULES / "tests" / "cases").rglob("*.yaml")), ids=lambda file: file.stem)
def test_the_readable_cases_of_a_rule_hold(file):
    package = f"platform.rules.{file.parent.name}.{file.stem}"
    for case in yaml.safe_load(file.read_text()):
        engine = with_tests() if not case.get("data") else with_data(case["data"])
        found = json.loads(engine.rule(f"data.{package}.deny", json.dumps(case["input"])).text)
        missing = [
            want
            for want in case["expect"]
            if not any(v["path"] == want["path"] and want["message_contains"] in v["message"] for v in found)
        ]
        assert (missing, len(found)) == ([], len(case["expect"])), case["description"]


def with_data(changes):
    return Engine(compile_policy(pack().modules, data=merged(pack().data, changes), strict=True))


def merged(left, right):
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return right
    return {**left, **{key: merged(left.get(key), value) for key, value in right.items()}}


def test_every_list_that_a_rule_reads_exists():
    """A rule that reads data which is not there would be silent, so a renamed list must not go unnoticed."""
    absent = set()
    for module in pack().modules:
        for reference in re.findall(r"data\.platform\.((?!rules|lib|obligations)[a-z_]+(?:\.[a-z_]+)*)", module.text):
            value = pack().data["platform"]
            for part in reference.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                absent.add((module.path, reference))
    assert absent == set()


def test_every_rule_has_a_row_in_the_readme_and_every_row_a_rule():
    """A row without a rule is a rule that was lost on the way, and what it refused is allowed."""
    rows = re.findall(r"^\| ([A-Z]+-\d{3}) \|", (RULES / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(meta.id for meta in rules_of(pack()) if not meta.obligation_type)


@pytest.mark.skipif(shutil.which("git") is None, reason="only git knows what it ignores")
def test_git_ignores_nothing_of_the_pack(tmp_path):
    """A pattern meant for build results once kept `rules/build` out of every commit."""
    folders = sorted({str(path.relative_to(RULES.parent)) for path in RULES.rglob("*") if path.is_dir()})
    ignore = tmp_path / ".gitignore"
    ignore.write_bytes((RULES.parent / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    asked = "".join(f"{folder}/x.rego\n" for folder in folders)
    told = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", "--stdin"],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (1, "")


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 13])
@pytest.mark.parametrize("name", KINDS)
def test_no_malformed_input_leaves_the_pack_without_an_answer(name, step):
    """One node dropped or of another type: an error would deny as well, but without saying what is wrong.

    A node has seven mutants: a step that shares no divisor with that comes by all of their sorts. Only where an app's own
    schema is none is there an error, which says what is wrong with it.
    """
    request = good(name)
    path = f"data.platform.main.{request['kind']}"
    for mutant in list(mutants(request))[::step]:
        text = said(path, mutant)
        assert text.startswith("{") or (name == "app_answer" and "invalid schema: " in text), text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in KINDS if name not in {"app_call", "app_answer"}]
)  # which the interpreter serves
def test_both_executors_agree_on_every_malformed_input(name):
    request = good(name)
    path = f"data.platform.main.{request['kind']}"
    engine = Engine(compile_bundles([pack()], rules_of(pack())))
    pairs = [engine.compare(path, json.dumps(mutant)) for mutant in mutants(request)]
    # Where the fast one fails it says nothing, and the interpreter is asked.
    answered = [(slow, fast) for slow, fast in pairs if fast != "error"]
    assert len(answered) > len(pairs) // 2
    for slow, fast in answered:
        assert canonical_sets(json.loads(slow)) == canonical_sets(json.loads(fast))


def test_connectors_of_the_wrong_shape_are_refused_with_their_place():
    for wrong in (None, 7, "hris", [], {}, {"name": None}):
        request = good("deploy")
        request["app"]["connectors"] = [wrong]
        assert ["app", "connectors", 0, "name"] in [v["path"] for v in violations(request) if v["rule"] == "CONN-001"]


def test_the_example_app_is_refused_for_its_four_mistakes():
    found = violations(with_resource(good("deploy"), manifest("app.yaml")))
    assert {(v["rule"], resource_pointer("deploy", v["path"])) for v in found} == {
        ("DATA-007", "/spec/data/retention"),
        ("OAUTH-002", "/spec/connectors/0/scopes/0"),
        ("OAUTH-003", "/spec/connectors/0/scopes/0"),
        ("RUN-002", "/spec/runtime/caps/memoryMiB"),
        ("EGR-004", "/spec/egress/2"),
    }


def test_the_proposed_fixes_make_the_example_app_the_fixed_one():
    resource = manifest("app.yaml")
    for violation in violations(with_resource(good("deploy"), resource)):
        steps = [{**step, "path": resource_pointer("deploy", step["path"])} for step in violation["fix"]]
        resource = patched(resource, steps)
    assert resource == manifest("app-fixed.yaml")
    assert violations(with_resource(good("deploy"), resource)) == []


def test_the_fixed_example_app_gets_its_hosts_class_and_caps():
    found = obligations(with_resource(good("deploy"), manifest("app-fixed.yaml")))
    caps = {"cpu": 0.5, "memoryMiB": 512, "timeoutMs": 5000, "storageMiB": 64}
    assert {o["value"] for o in found if o["type"] == "egress_allow"} == {
        "api.hris.example.com",
        "api.recommender.example.com",
    }
    assert [o["value"] for o in found if o["type"] == "runtime_class"] == ["wasm"]
    assert [o["value"] for o in found if o["type"] == "caps"] == [caps]


def test_the_example_template_meets_every_rule():
    assert violations(with_resource(good("template"), manifest("template.yaml"))) == []


def test_the_example_call_is_allowed_and_its_answer_masked():
    request = {**good("connector_call"), **json.loads((EXAMPLE / "hr-call.json").read_text())}
    assert violations(request) == []
    assert [o["value"]["pointer"] for o in obligations(request) if o["type"] == "mask"] == [
        ["Resources", "*", "emails"]
    ]


def test_the_example_flow_to_a_stranger_is_refused_for_its_destination_and_its_data():
    request = {**good("flow_to_url"), **json.loads((EXAMPLE / "outgoing-flow.json").read_text())}
    request["facts"]["url"] |= {"host": "collect.lunch-stats.example", "path": "/in"}
    request["facts"]["pii"] = [{"pointer": "/payload/people/1/iban", "entity": "IBAN_CODE", "score": 1.0}]
    assert {v["rule"] for v in violations(request)} == {"EGR-002", "EGR-003", "DATA-008"}


def test_the_example_flow_to_the_recommender_is_allowed_with_its_personal_data_masked():
    request = {**good("data_flow"), **json.loads((EXAMPLE / "suggestion-flow.json").read_text())}
    request["facts"]["pii"] = [{"pointer": "/payload/wishes/0/email", "entity": "EMAIL_ADDRESS", "score": 1.0}]
    assert violations(request) == []
    assert [o["value"]["pointer"] for o in obligations(request) if o["type"] == "mask"] == [["wishes", "0", "email"]]


def test_somebodys_own_older_policy_answers_beside_the_pack():
    seed = load_bundle(str(RULES / "extras" / "seed"))
    refuse_overlap([owned_roots(pack()), owned_roots(seed)])
    both = compile_policy([*pack().modules, *seed.modules], data={**pack().data, **seed.data})
    engine = Engine(both)
    app = {"name": "lunch", "costCenter": "MK-42", "connectors": [{"name": "hris"}, {"name": "ftp-dump"}]}
    answer = engine.rule("data.platform.policies.deny", json.dumps({"app": app}))
    assert json.loads(answer.text) == ["Connector ftp-dump is not approved"]
    assert engine.rule("data.platform.policies.allow", "{}").text == "false"


def test_the_pack_is_left_alone_when_somebodys_own_policy_is_loaded():
    assert not [module.path for module in pack().modules if "extras" in module.path or module.v0]
