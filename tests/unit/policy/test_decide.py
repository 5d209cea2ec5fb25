"""The verdict: what rules, modes and waivers make of a request, and everything that must end as a deny."""

import json

import pytest

from governance.errors import BadBundle
from governance.model.facts import Facts
from governance.model.patch import patched
from governance.policy.active import Active
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.decide import policy_input
from governance.policy.engine import Engine
from governance.policy.explain import with_proved_fixes
from governance.policy.metadata import metadata_of
from governance.policy.modes import effective_mode
from governance.policy.waivers import Waiver
from tests.unit.policy.conftest import FILES, NO_FACTS

NOW = "2027-03-01T12:00:00Z"
GOOD = {"owner": "o", "colour": "red"}


def waiver(**changed):
    row = {
        "name": "w",
        "rule": "APP-001",
        "subject": "app:lunch",
        "owner": "ann",
        "approver": "bob",
        "reason": "until the move",
        "expires": "2027-03-02T00:00:00Z",
    }
    return Waiver(**{**row, **changed})


def modes(rules):
    return {"data/platform/modes.yaml": json.dumps({"rules": rules})}


# -- verdicts ------------------------------------------------------------------------------------------------------


def test_nothing_objects_and_obligations_come_along(active, verdict, request_for):
    decision = verdict(active(), request_for(**GOOD)).decision
    assert decision.effect == "allow"
    assert decision.error is None
    assert decision.rules_evaluated == ("APP-001", "APP-002")
    assert [(o.type, o.rule, o.value) for o in decision.obligations] == [("header", "label", "lunch")]


def test_the_strictest_effect_wins_and_is_named(active, verdict, request_for):
    decision = verdict(active(), request_for(colour="green")).decision
    assert decision.effect == "deny"
    assert [(v.rule, v.effect, v.path) for v in decision.violations] == [
        ("APP-001", "deny", "/spec/owner"),
        ("APP-002", "require_approval", "/spec/colour"),
    ]
    assert decision.reason == "APP-001: The app has no owner."
    assert verdict(active(), request_for(owner="o", colour="green")).decision.effect == "require_approval"


@pytest.mark.parametrize(
    ("said", "weighs"),
    [
        ("warn", "warn"),
        ("require_approval", "require_approval"),
        ("deny", "deny"),
        ("allow", "deny"),
        (None, "deny"),
        ([], "deny"),
    ],
)
def test_a_violation_may_weigh_otherwise_than_its_rule_but_never_nothing(said, weighs, active, verdict, request_for):
    found = {"rule": "APP-001", "found": {"path": ["app"], "message": "m", "effect": said}}
    text = f"package platform.main\n\ndeploy := {json.dumps({'violations': [found], 'obligations': []})}\n"
    compiled = compile_policy([Module("m.rego", text)])
    decision = verdict(active()._replace(engine=Engine(compiled), compiled=compiled), request_for(**GOOD)).decision
    assert (decision.effect, [v.effect for v in decision.violations]) == (weighs, [weighs])


def test_the_same_question_gives_the_same_bytes(active, verdict, request_for):
    loaded = active()
    first, second = (verdict(loaded, request_for(colour="green")).decision for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_a_kind_without_rules_is_denied(active, verdict, request_for):
    decision = verdict(active(), request_for(**GOOD, kind="publish")).decision
    assert (decision.effect, decision.error, decision.executor) == ("deny", "no_answer", "none")


@pytest.mark.parametrize(
    "value",
    [
        "{}",
        "null",
        "false",
        "true",
        "[]",
        '""',
        '{"violations": {}, "obligations": []}',
        '{"violations": [], "obligations": {}}',
        '{"violations": "", "obligations": []}',
        '{"violations": null, "obligations": []}',
        '{"violations": []}',
        '{"obligations": []}',
        '{"violations": [{"rule": "APP-001"}], "obligations": []}',
        '{"violations": [{"rule": "APP-001", "found": "x"}], "obligations": []}',
        '{"violations": [1], "obligations": []}',
        '{"violations": [], "obligations": [{"type": "mask"}]}',
    ],
)
def test_an_answer_of_another_shape_is_a_deny(value, active, verdict, request_for):
    compiled = compile_policy([Module("m.rego", f"package platform.main\n\ndeploy := {value}\n")])
    forged = active()._replace(engine=Engine(compiled), compiled=compiled)
    decision = verdict(forged, request_for(**GOOD)).decision
    assert (decision.effect, decision.error) == ("deny", "no_answer")


@pytest.mark.parametrize(
    "rule",
    [
        "deploy := upper(input.app.colour)",
        "deploy := 1 if input.app.owner\ndeploy := 2 if input.app.colour",
        'deploy := strings.count("abc", "")',
        "deploy := input.nowhere",
    ],
)
def test_an_error_a_conflict_a_panic_and_silence_are_a_deny(rule, active, verdict, request_for):
    compiled = compile_policy([Module("m.rego", f"package platform.main\n\n{rule}\n")], strict=True)
    forged = active()._replace(engine=Engine(compiled), compiled=compiled)
    decision = verdict(forged, request_for(owner="o", colour=1)).decision
    assert (decision.effect, decision.error, decision.violations) == ("deny", "no_answer", ())


@pytest.mark.parametrize("owner", [None, False])
def test_false_is_as_good_as_missing_under_not_and_null_is_a_value(owner, active, verdict, request_for):
    decision = verdict(active(), request_for(owner=owner, colour="red")).decision
    assert ("APP-001" in {v.rule for v in decision.violations}) == (owner is False)


def test_what_a_caller_says_about_an_app_is_not_what_was_decided(request_for):
    told = request_for(kind="connector_call", owner="me", resource={"app": "lunch"})
    known = Facts({"app": {"known": True, "spec": {"owner": "her"}}}, "sha256:3", "{}")
    assert json.loads(policy_input(told, known, NOW))["app"] == {"owner": "her", "name": "lunch"}
    unknown = Facts({}, "sha256:3", "{}")
    assert json.loads(policy_input(told, unknown, NOW))["app"] == {"name": "lunch"}


# -- modes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "effect"),
    [
        ({"mode": "enforce"}, "deny"),
        ({"mode": "warn"}, "warn"),
        ({"mode": "shadow"}, "allow"),
        ({"mode": "off"}, "deny"),
        ({"mode": "SHADOW"}, "deny"),
        ({"mode": None}, "deny"),
        ({"mode": ["shadow"]}, "deny"),
        ({}, "deny"),
        ("shadow", "deny"),
        ({"mode": "shadow", "since": "2027-03-01T12:00:00Z"}, "allow"),
        ({"mode": "shadow", "since": "2027-03-01T12:00:01Z"}, "deny"),
        ({"mode": "shadow", "since": "2027-01-01"}, "deny"),
        ({"mode": "shadow", "since": "1 January 2030, about noonZ"}, "deny"),
        ({"mode": "shadow", "since": None}, "deny"),
        ({"mode": "shadow", "since": 0}, "deny"),
        ({"mode": "enforce", "tenants": {"hr": "shadow"}}, "allow"),
        ({"mode": "enforce", "tenants": {"fin": "shadow"}}, "deny"),
        ({"mode": "shadow", "tenants": {"hr": "enforce"}}, "deny"),
        ({"mode": "shadow", "tenants": {"hr": "nonsense"}}, "deny"),
        ({"mode": "shadow", "tenants": ["hr"]}, "deny"),
        ({"mode": "shadow", "tenants": None}, "deny"),
        ({"mode": "shadow", "tenants": {"hr": None}}, "deny"),
        ({"mode": {"mode": "shadow"}}, "deny"),
        ({"mode": "enforce", "tenants": {"hr": {"mode": "shadow"}}}, "allow"),
        ({"mode": "shadow", "tenants": {"hr": {}}}, "deny"),
        ({"mode": "shadow", "tenants": {"hr": {"mode": "shadow", "since": "2027-03-01T12:00:01Z"}}}, "deny"),
        ({"mode": "enforce", "since": "2030-01-01T00:00:00Z", "tenants": {"hr": {"mode": "warn"}}}, "warn"),
        ({"mode": "shadow", "since": "2027-03-01T12:00:00.000001Z"}, "deny"),
        ({"mode": "shadow", "until": "2027-03-01T12:00:00.000001Z"}, "allow"),
        ({"mode": "shadow", "until": "2027-03-01T12:00:00Z"}, "deny"),
        ({"mode": "shadow", "until": "2027-03-02"}, "deny"),
        ({"mode": "shadow", "until": None}, "deny"),
        ({"mode": "shadow", "tenants": {"hr": {"mode": "warn", "until": "2027-03-01T11:59:59Z"}}}, "deny"),
    ],
)
def test_a_mode_that_is_not_understood_is_enforced(row, effect, active, verdict, request_for):
    decision = verdict(active(modes({"APP-001": row})), request_for(colour="red")).decision
    assert decision.effect == effect
    assert [v.rule for v in decision.violations] == ["APP-001"]


def policy_mode(**spec):
    head = {"apiVersion": "microapps.internal/v1alpha1", "kind": "PolicyMode", "metadata": {"name": "m"}}
    return json.dumps({**head, "spec": {"rule": "APP-001", **spec}})


@pytest.mark.parametrize(
    ("spec", "effect"),
    [
        ({"mode": "shadow"}, "allow"),
        ({"mode": "warn"}, "warn"),
        ({"mode": "enforce", "tenants": {"hr": "shadow"}}, "allow"),
        ({"mode": "shadow", "tenants": {"hr": "enforce"}}, "deny"),
        ({"mode": "shadow", "since": "2027-03-01T12:00:01Z"}, "deny"),
        ({"mode": "enforce", "tenants": {"hr": {"mode": "warn", "since": "2027-03-01T12:00:00Z"}}}, "warn"),
        ({"mode": "enforce", "tenants": {"hr": {"mode": "warn", "until": "2027-03-01T12:00:00Z"}}}, "deny"),
    ],
)
def test_a_policy_mode_of_the_bundle_takes_effect(spec, effect, active, verdict, request_for):
    decision = verdict(active({"modes/a.yaml": policy_mode(**spec)}), request_for(colour="red")).decision
    assert [(v.rule, v.effect) for v in decision.violations] == [("APP-001", effect)]


@pytest.mark.parametrize(
    "text",
    [
        policy_mode(mode="off"),
        policy_mode(),
        policy_mode(mode="shadow", since="tomorrow"),
        policy_mode(mode="shadow", until="2027-03-01T12:00:00Z"),
        policy_mode(mode="shadow", more=1),
        policy_mode(mode="shadow", rule="*"),
        policy_mode(mode="shadow", rule=None),
        policy_mode(mode="shadow", tenants=["hr"]),
        policy_mode(mode="shadow", tenants={"hr": "off"}),
        policy_mode(mode="shadow", tenants={"hr": {"mode": "warn", "by": "ann"}}),
        policy_mode(mode="shadow").replace("PolicyMode", "PolicyMood"),
        policy_mode(mode="shadow").replace("v1alpha1", "v9"),
        "kind: PolicyMode\nspec: [",
        "a: &a [*a]\nkind: PolicyMode\n",
        "kind: PolicyMode\nkind: PolicyMode\n",
        "[]",
    ],
)
def test_a_policy_mode_that_is_not_understood_whole_serves_nobody(text, active):
    with pytest.raises(BadBundle, match=r"modes/a\.yaml"):
        active({**modes({}), "modes/a.yaml": text})


@pytest.mark.parametrize(
    "files",
    [
        {"modes/a.yaml": policy_mode(mode="enforce").replace("APP-001", "APP-999")},
        modes({"APP-001": {"mode": "warn"}, "APP-999": {"mode": "enforce", "tenants": {"hr": "shadow"}}}),
        modes({"app-001": {"mode": "enforce"}}),
    ],
)
def test_a_mode_of_a_rule_that_is_not_there_serves_nobody(files, active):
    with pytest.raises(BadBundle, match=r"(?i)a mode is said of the rule 'app-(001|999)', which no bundle here has"):
        active(files)


@pytest.mark.parametrize("row", [{"mode": "enforce"}, {"since": "2030-01-01T00:00:00Z"}])
def test_two_say_nothing_about_one_rule(row, active):
    with pytest.raises(BadBundle, match="said twice"):
        active({**modes({"APP-001": row}), "modes/a.yaml": policy_mode(mode="shadow")})
    with pytest.raises(BadBundle, match="said twice"):
        active({f"modes/{name}.yaml": policy_mode(mode="shadow") for name in "ab"})


@pytest.mark.parametrize(
    "document", [None, [], "shadow", {"rules": None}, {"rules": []}, {"rules": {"APP-002": {"mode": "shadow"}}}]
)
def test_a_rule_that_no_mode_names_is_enforced(document):
    assert effective_mode("APP-001", "hr", NOW, document) == "enforce"


# -- waivers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"subject": "tenant:hr"},
        {"expires": "2027-03-01T12:00:01Z"},
        {"expires": "2027-03-01T12:00:00.5Z"},
        {"expires": "9999-12-31T23:59:59Z"},
    ],
)
def test_a_waiver_excuses_its_rule_and_leaves_the_violation_on_record(changed, active, verdict, request_for):
    decision = verdict(active(), request_for(colour="red"), [waiver(**changed)]).decision
    assert decision.effect == "allow"
    assert [(v.rule, v.effect, v.waived_by) for v in decision.violations] == [("APP-001", "allow", "w")]
    assert decision.reason == "no rule objects (1 waived)"


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": "2027-03-01T12:00:00Z"},
        {"expires": "2027-03-01T11:59:59.999Z"},
        {"expires": "2026-12-31T00:00:00Z"},
        {"expires": ""},
        {"rule": "APP-002"},
        {"rule": "APP-00"},
        {"rule": "*"},
        {"rule": ""},
        {"subject": "app:other"},
        {"subject": "app:lunch2"},
        {"subject": "app:Lunch"},
        {"subject": "app:"},
        {"subject": "app:*"},
        {"subject": "*"},
        {"subject": "tenant:fin"},
        {"subject": "tenant:"},
        {"subject": "tenant:*"},
        {"subject": "tenant:lunch"},
        {"subject": "app:hr"},
        {"subject": "lunch"},
        {"subject": ""},
    ],
)
def test_an_expired_foreign_or_broad_waiver_excuses_nothing(changed, active, verdict, request_for):
    decision = verdict(active(), request_for(colour="red"), [waiver(**changed)]).decision
    assert decision.effect == "deny"
    assert decision.violations[0].waived_by is None


@pytest.mark.parametrize("subject", ["app:", "tenant:", "app:*"])
def test_a_request_without_app_or_tenant_is_no_ones(subject, active, verdict, request_for):
    nameless = request_for(tenant="", colour="red")._replace(app={"colour": "red"})
    assert verdict(active(), nameless, [waiver(subject=subject)]).decision.effect == "deny"


def test_a_waiver_for_one_rule_does_not_excuse_another(active, verdict, request_for):
    decision = verdict(active(), request_for(colour="green"), [waiver()]).decision
    assert decision.effect == "require_approval"


# -- fixes ---------------------------------------------------------------------------------------------------------


def fixed(loaded, verdict, request_for, resource):
    def again(changed):
        return verdict(loaded, request_for(resource=changed, **changed["spec"])).decision

    return with_proved_fixes(verdict(loaded, request_for(resource=resource, **resource["spec"])), resource, again)


def test_a_fix_is_shown_when_it_was_decided_again_and_holds(active, verdict, request_for):
    resource = {"metadata": {"name": "lunch"}, "spec": {"colour": "red"}}
    decision = fixed(active(), verdict, request_for, resource)
    fix = decision.violations[0].fix
    assert fix == [{"op": "add", "path": "/spec/owner", "value": "somebody"}]
    assert patched(resource, fix)["spec"]["owner"] == "somebody"
    assert decision.effect == "deny"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ('[{"op": "add", "path": ["app", "owner"], "value": false}]', "leaves its violation"),
        ('[{"op": "remove", "path": ["app", "nothing"]}]', "cannot be applied"),
        ('[{"op": "frobnicate", "path": ["app", "owner"]}]', "is no patch"),
        (
            '[{"op": "add", "path": ["app", "owner"], "value": "o"}, {"op": "add", "path": ["app", "colour"], "value": "no"}]',
            "breaks another rule",
        ),
    ],
)
def test_a_fix_that_does_not_hold_is_not_shown(wrong, why, active, verdict, request_for, meta, folder):
    rule = meta("APP-001") + (
        "package platform.rules.app.owner\n\ndeny contains v if {\n\tnot input.app.owner\n"
        f'\tv := {{"path": ["app", "owner"], "message": "{why}", "fix": {wrong}}}\n}}\n'
    )
    resource = {"metadata": {"name": "lunch"}, "spec": {"colour": "red"}}
    decision = fixed(active({"app/owner.rego": rule}), verdict, request_for, resource)
    assert [v.message for v in decision.violations] == [why]
    assert decision.violations[0].fix is None


def test_every_rule_of_the_pack_has_its_metadata(active):
    loaded = active()
    assert isinstance(loaded, Active)
    assert sorted(loaded.rules) == ["APP-001", "APP-002"]
    assert sorted(loaded.obligations) == ["label"]
    assert metadata_of("package lib.x\n", "lib/x.rego") is None


def knowing(**app):
    """Facts about the app that a request names."""
    values = {"app": {"known": True, "spec": app}}
    return Facts(values, "facts", json.dumps(values))


def test_a_waiver_of_an_app_does_not_excuse_who_only_bears_its_name(active, verdict, request_for):
    """A label or a context says which app something is of; whose app that is, the last allowed deploy says."""
    request, waivers = request_for(colour="red"), [waiver()]
    assert verdict(active(), request, waivers, facts=knowing(tenant=request.tenant)).decision.effect == "allow"
    assert verdict(active(), request, waivers, facts=knowing(tenant="another")).decision.effect == "deny"
    assert verdict(active(), request, waivers, facts=knowing()).decision.effect == "deny"


def test_a_label_that_names_an_app_nobody_deployed_excuses_nothing(active, verdict, request_for):
    policy = active({"app/owner.rego": FILES["app/owner.rego"].replace("[deploy]", "[deploy, workload]")})
    labelled = request_for(colour="red")._replace(kind="workload")
    assert verdict(policy, labelled, [waiver()], facts=knowing(tenant="hr")).decision.effect == "allow"
    for facts in (NO_FACTS, Facts({"app": {"known": False}}, "facts", '{"app": {"known": false}}')):
        assert verdict(policy, labelled, [waiver()], facts=facts).decision.effect == "deny"
        assert verdict(policy, request_for(colour="red"), [waiver()], facts=facts).decision.effect == "allow", (
            "a first deploy"
        )


def test_a_label_that_names_a_tenant_excuses_nothing_outside_of_its_namespaces(active, verdict, request_for):
    policy = active({"app/owner.rego": FILES["app/owner.rego"].replace("[deploy]", "[deploy, workload]")})
    values = {
        "app": {"known": True, "spec": {"tenant": "hr"}},
        "tenant": {"known": True, "name": "hr", "namespaces": ["hr-space"]},
    }
    facts = Facts(values, "facts", json.dumps(values))
    waivers = [waiver(subject="tenant:hr"), waiver(subject="app:lunch")]
    for namespace, effect in (("hr-space", "allow"), ("", "allow"), ("sales-space", "deny")):
        labelled = request_for(colour="red")._replace(kind="workload", context={"namespace": namespace})
        for one in waivers:
            assert verdict(policy, labelled, [one], facts=facts).decision.effect == effect
    elsewhere = request_for(colour="red")._replace(kind="workload", context={"namespace": "hr-space"})
    unknown = knowing(tenant="hr")
    assert verdict(policy, elsewhere, waivers, facts=unknown).decision.effect == "deny"
