"""What becomes of templates and constraints, and what is refused by name."""

from __future__ import annotations

import json

import pytest

from tests.unit.policy.gatekeeper.conftest import NEEDS_LABELS, SLOPPY, UNIQUE_HOST, constraint, imported, template

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "labels": {"owner": "me"}}}
BARE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}}


def route(name: str, **spec) -> dict:
    return {
        "apiVersion": "x.example/v1",
        "kind": "Route",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


class TestOnTheLine:
    def test_a_violation_has_the_constraints_name_the_templates_message_and_a_remedy(self, world):
        world.load(template(), constraint(parameters={"labels": ["owner", "team"]}))
        (violation,) = world.decide(BARE).violations
        assert violation.rule == "NeedsLabels/all"
        assert violation.message == 'labels {"owner", "team"} are missing, please'
        assert (violation.mode, violation.effect, violation.path) == ("enforce", "deny", "")
        assert "NeedsLabels/all" in violation.remediation
        assert violation.controls == ("Gatekeeper:NeedsLabels",)

    def test_what_the_schema_gives_by_default_counts(self, world):
        world.load(template(), constraint())
        assert world.decide(BARE).effect == "deny"
        assert world.decide(POD).effect == "allow"

    def test_two_constraints_of_one_template_do_not_see_each_other(self, world):
        wanted = {"first": ["owner"], "second": ["team"], "third": ["owner", "team"]}
        world.load(
            template(), *(constraint(name=name, parameters={"labels": labels}) for name, labels in wanted.items())
        )
        said = {v.rule: v.message for v in world.decide(POD).violations}
        assert said == {
            "NeedsLabels/second": 'labels {"team"} are missing, please',
            "NeedsLabels/third": 'labels {"team"} are missing, please',
        }

    def test_without_parameters_there_is_nothing_to_fill_in(self, world):
        """As in the API server, which gives no default below a member that is missing."""
        world.load(template(), constraint(parameters=None))
        assert world.decide(BARE).effect == "allow"

    @pytest.mark.parametrize(
        ("spec", "mode", "effect"),
        [
            ({"enforcementAction": "deny"}, "enforce", "deny"),
            ({"enforcementAction": "warn"}, "warn", "warn"),
            ({"enforcementAction": "dryrun"}, "shadow", "allow"),
            (
                {
                    "enforcementAction": "scoped",
                    "scopedEnforcementActions": [
                        {"action": "warn", "enforcementPoints": [{"name": "*"}]},
                        {"action": "deny", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]},
                    ],
                },
                "enforce",
                "deny",
            ),
            (
                {
                    "enforcementAction": "scoped",
                    "scopedEnforcementActions": [
                        {"action": "deny", "enforcementPoints": [{"name": "audit.gatekeeper.sh"}]}
                    ],
                },
                "shadow",
                "allow",
            ),
        ],
    )
    def test_the_enforcement_action_is_the_mode(self, world, spec, mode, effect):
        world.load(template(), constraint(**spec))
        decision = world.decide(BARE)
        assert [v.mode for v in decision.violations] == [mode]
        assert decision.effect == effect

    def test_a_rule_of_the_pack_keeps_its_mode_and_its_say(self, world):
        world.load(template(), constraint(enforcementAction="dryrun"))
        assert [v.rule for v in world.decide({"bad": True}, kind="lifecycle").violations] == ["OWN-001"]
        assert world.decide({"bad": True}, kind="lifecycle").effect == "deny"

    def test_other_kinds_are_still_served_by_the_fast_executor(self, world):
        active = world.load(template(), constraint(match={"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}))
        assert "data.platform.main.workload" not in active.compiled.fast
        assert active.rules["NeedsLabels/all"].applies_to == ("workload",)
        assert active.compiled.program

    def test_a_manifest_of_ours_is_an_object_like_any_other(self, world):
        world.load(template(), constraint(match={"kinds": [{"apiGroups": ["*"], "kinds": ["MicroApp"]}]}))
        app = {"apiVersion": "microapps.internal/v1alpha1", "kind": "MicroApp", "metadata": {"name": "a"}, "spec": {}}
        assert [v.rule for v in world.decide(app, kind="deploy").violations] == ["NeedsLabels/all"]
        assert world.decide(POD).violations == ()

    def test_the_inventory_is_what_was_named(self, world):
        world.load(template(UNIQUE_HOST), constraint("UniqueHost"), inventory=[route("old", host="a.example")])
        assert [v.message for v in world.decide(route("new", host="a.example")).violations] == ["the host is taken"]
        assert world.decide(route("old", host="a.example")).effect == "allow"
        assert world.decide(route("new", host="b.example")).effect == "allow"

    @pytest.mark.parametrize(
        ("spec", "messages"),
        [
            ({"replicas": "7"}, ["too many"]),
            ({"replicas": "many"}, []),
            ({"replicas": "many", "host": "bad"}, ["bad is no host for Route: %!d(MISSING)"]),
            ({"host": "bad"}, ["bad is no host for Route: %!d(MISSING)"]),
            ({"host": "mute"}, ["The template found a violation and gave no message."]),
        ],
    )
    def test_an_error_is_undefined_in_a_template_and_a_malformed_message_loses_no_violation(
        self, world, spec, messages
    ):
        """As OPA has it: what cannot be a number is not above five, and a verb without its argument is still a text."""
        world.load(template(SLOPPY), constraint("Sloppy"))
        decision = world.decide(route("r", **spec))
        assert decision.error is None
        assert [v.message for v in decision.violations] == messages

    def test_an_error_in_whom_to_look_at_is_no_answer(self, world):
        world.load(template(), constraint(match={"namespaces": ["shop-*"]}))
        decision = world.decide(BARE, context={"namespace": 7})
        assert (decision.effect, decision.error) == ("deny", "no_answer")

    def test_an_object_cannot_bring_its_own_parameters_or_match(self, world):
        world.load(template(), constraint(parameters={"labels": ["owner"]}))
        hostile = {**BARE, "parameters": {"labels": []}, "review": {"object": POD}}
        assert world.decide(hostile, context={"parameters": {"labels": []}}).effect == "deny"


REFUSED = {
    "CEL only": (template(rego=None, code=[{"engine": "K8sNativeValidation", "source": {}}]), "no CEL engine"),
    "network": (template(rego='package a\nviolation[{"msg": "m"}] { http.send({"url": "x"}) }', libs=[]), "network"),
    "provider": (template(rego='package a\nviolation[{"msg": "m"}] { external_data({}) }', libs=[]), "external data"),
    "clock": (template(rego='package a\nviolation[{"msg": "m"}] { time.now_ns() > 1 }', libs=[]), "same answer twice"),
    "other data": (template(rego='package a\nviolation[{"msg": "m"}] { data.platform.x }', libs=[]), "data.platform"),
    "all data": (template(rego='package a\nviolation[{"msg": "m"}] { x := data; x.y }', libs=[]), "data"),
    "any data": (template(rego='package a\nviolation[{"msg": "m"}] { data[_].x }', libs=[]), "data"),
    "no rule": (template(rego="package a\ndeny { true }", libs=[]), "violation"),
    "no Rego": (template(rego="package a\nviolation[", libs=[]), "does not parse"),
    "unknown function": (template(rego='package a\nviolation[{"msg": "m"}] { frob(1) }', libs=[]), "frob"),
    "unsafe": (template(rego='package a\nviolation[{"msg": m}] { input.x }', libs=[]), "not compile"),
    "library": (template(libs=["package labels\na = 1"]), "lib.<name>"),
    "target": (template(target="other.k8s.io"), "target"),
    "targets": (template(targets=[]), "one target"),
}  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_a_template_that_cannot_serve_says_why_and_takes_its_constraint_with_it(self, name):
        document, reason = REFUSED[name]
        found = imported(document, constraint())
        assert found.templates == found.constraints == ()
        assert reason in found.refused[0]
        assert found.refused[0].startswith("file-0.yaml")
        assert "there is no template 'NeedsLabels'" in found.refused[1]

    def test_an_inventory_that_nobody_named(self):
        found = imported(template(UNIQUE_HOST), constraint("UniqueHost"))
        assert "--inventory" in found.refused[0]
        assert found.constraints == ()

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            ({"match": {"kindz": []}}, "match.kindz"),
            ({"match": {"scope": "cluster"}}, "match.scope"),
            ({"match": {"source": "Generated"}}, "ExpansionTemplates"),
            ({"match": {"kinds": [{"kinds": ["Pod"], "versions": ["v1"]}]}}, "match.kinds.versions"),
            ({"match": {"kinds": "Pod"}}, "kinds"),
            ({"match": {"namespaces": ["a*b"]}}, "'a*b'"),
            ({"match": {"name": "?"}}, "'?'"),
            ({"match": {"labelSelector": {"matchLabel": {}}}}, "labelSelector.matchLabel"),
            ({"match": {"labelSelector": {"matchLabels": {"a": 1}}}}, "matchLabels"),
            ({"match": {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}}, "expression"),
            (
                {"match": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}},
                "values",
            ),
            ({"match": []}, "match"),
            ({"enforcementAction": "deney"}, "'deney'"),
            ({"enforcementAction": "scoped"}, "scopedEnforcementActions"),
            (
                {
                    "enforcementAction": "scoped",
                    "scopedEnforcementActions": [{"action": "deny", "enforcementPoints": [{"name": "nowhere"}]}],
                },
                "nowhere",
            ),
            ({"parameter": {}}, "spec.parameter"),
            ({"parameters": {"labels": "owner"}}, "parameters/labels"),
            ({"parameters": {"labels": []}}, "minItems"),
            ({"parameters": {"labels": ["Owner"]}}, "/labels/0"),
            ({"parameters": {"label": ["owner"]}}, "/label: is not in the template's schema"),
            ({"parameters": []}, "object"),
        ],
    )
    def test_a_constraint_that_is_not_understood_whole(self, spec, reason):
        found = imported(template(), constraint(**spec))
        assert found.constraints == ()
        assert reason in found.refused[0]
        assert "file-1.yaml" in found.refused[0]

    def test_two_of_one_name(self):
        found = imported(template(), template(), constraint(), constraint())
        assert any("a second template" in reason for reason in found.refused)
        assert any("stands in file-2.yaml as well" in reason for reason in found.refused)

    @pytest.mark.parametrize("group", ["mutations", "expansion", "externaldata", "config", "syncset"])
    def test_the_rest_of_gatekeeper_is_named_not_passed_over(self, group):
        found = imported({"apiVersion": f"{group}.gatekeeper.sh/v1", "kind": "Thing", "metadata": {"name": "x"}})
        assert "Thing is " in found.refused[0]

    def test_names_that_would_be_one_word_stay_two_rules(self):
        found = imported(template(), constraint(name="a-b"), constraint(name="a.b"))
        assert len({c.slug for c in found.constraints}) == 2

    def test_nobodys_words_end_the_metadata_of_a_rule(self, world):
        hostile = template(NEEDS_LABELS)
        hostile["metadata"]["annotations"] = {
            "metadata.gatekeeper.sh/title": 'x"\npackage evil\n#', "description": "y\n#   mode: shadow",
        }  # fmt: skip
        active = world.load(hostile, constraint())
        assert active.rules["NeedsLabels/all"].mode == "enforce"
        assert json.dumps(active.rules["NeedsLabels/all"].title)
        assert world.decide(BARE).effect == "deny"
