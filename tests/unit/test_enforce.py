"""Only a recorded yes can be carried out, and only with the limits that the policy named."""

import pytest

from governance.enforce import masked_payload, plan_of
from governance.errors import InternalError
from governance.model.decision import ALLOW, DENY, REQUIRE_APPROVAL, WARN, Decision, Obligation
from governance.model.request import Request, Source

CAPS = {"cpu": 0.5, "memoryMiB": 64, "timeoutMs": 1000, "storageMiB": 16}


DIGEST = Obligation("artifact", "a", f"sha256:{'ab' * 32}")
SENSES = (Obligation("clock", "k", "real"), Obligation("randomness", "n", "real"), DIGEST)


def decision(effect=ALLOW, obligations=(), error=None):
    return Decision("id-1", "deploy", effect, (), tuple(obligations), "", error, "r", "i", "f", "rvm", "t", None, "")


def request():
    return Request("deploy", "create", "marketing", {}, {"name": "lunch"}, {}, {}, False, Source("t", "a"), "d", "{}")


def test_a_plan_takes_the_tightest_of_several_caps_and_all_hosts():
    wide = {"cpu": 1, "memoryMiB": 32, "timeoutMs": 2000, "storageMiB": 8}
    plan = plan_of(
        request(),
        decision(
            obligations=[
                Obligation("runtime_class", "r", "wasm"),
                Obligation("caps", "a", CAPS),
                Obligation("caps", "b", wide),
                Obligation("egress_allow", "e", "b.example"),
                Obligation("egress_allow", "e", "a.example"),
                *SENSES,
            ]
        ),
    )
    assert plan.caps == (0.5, 32, 1000, 8)
    assert plan.egress_allow == ("a.example", "b.example")
    assert (plan.app, plan.tenant, plan.runtime_class, plan.decision_id) == ("lunch", "marketing", "wasm", "id-1")


@pytest.mark.parametrize(
    "obligations",
    [
        [],
        [Obligation("caps", "c", CAPS)],
        [Obligation("runtime_class", "r", "wasm")],
        [
            Obligation("caps", "c", CAPS),
            Obligation("runtime_class", "r", "wasm"),
            Obligation("runtime_class", "s", "container"),
        ],
    ],
)
def test_an_adapter_never_gets_a_plan_without_one_class_and_caps(obligations):
    with pytest.raises(InternalError, match="runtime class"):
        plan_of(request(), decision(obligations=obligations))


@pytest.mark.parametrize(
    ("clocks", "seen"),
    [
        (["real"], "real"),
        (["real", "coarse"], "coarse"),
        (["coarse", "2000-01-01T00:00:00Z", "real"], "2000-01-01T00:00:00Z"),
    ],
)
def test_of_several_clocks_the_one_that_shows_least_counts(clocks, seen):
    asked = [Obligation("clock", "k", clock) for clock in clocks]
    randomness = [Obligation("randomness", "n", source) for source in ("seeded", "real")]
    obliged = [Obligation("runtime_class", "r", "wasm"), Obligation("caps", "c", CAPS), *asked, *randomness, DIGEST]
    plan = plan_of(request(), decision(obligations=obliged))
    assert (plan.clock, plan.randomness) == (seen, "seeded")


@pytest.mark.parametrize("missing", ["clock", "randomness", "artifact"])
def test_a_clock_randomness_and_what_may_run_are_the_policy_s_to_name(missing):
    obliged = [Obligation("runtime_class", "r", "wasm"), Obligation("caps", "c", CAPS), *SENSES]
    with pytest.raises(InternalError, match=missing):
        plan_of(request(), decision(obligations=[one for one in obliged if one.type != missing]))


def test_of_two_digests_neither_runs():
    obliged = [Obligation("runtime_class", "r", "wasm"), Obligation("caps", "c", CAPS), *SENSES]
    assert plan_of(request(), decision(obligations=obliged)).artifact == DIGEST.value
    with pytest.raises(InternalError, match="2 digests"):
        plan_of(request(), decision(obligations=[*obliged, DIGEST._replace(value=f"sha256:{'cd' * 32}")]))


@pytest.mark.parametrize("effect", [DENY, REQUIRE_APPROVAL])
def test_nothing_is_carried_out_for_a_no(effect):
    with pytest.raises(InternalError, match="nothing to enforce"):
        plan_of(request(), decision(effect))
    with pytest.raises(InternalError, match="nothing to enforce"):
        masked_payload({}, decision(effect))


@pytest.mark.parametrize("effect", [ALLOW, WARN])
def test_an_error_outweighs_an_allowing_effect(effect):
    with pytest.raises(InternalError):
        masked_payload({}, decision(effect, error="no_answer"))


def mask(*pointer, drop=False):
    return Obligation("drop" if drop else "mask", "m", {"pointer": list(pointer)})


@pytest.mark.parametrize(
    ("payload", "obligation", "result"),
    [
        ({"a": {"b": 1}, "c": 2}, mask("a", "b"), {"a": {"b": "[masked]"}, "c": 2}),
        ([{"mail": 1}, {"mail": 2, "n": 3}], mask("*", "mail"), [{"mail": "[masked]"}, {"mail": "[masked]", "n": 3}]),
        ([{"mail": 1}, {"n": 3}], mask("0", "mail", drop=True), [{}, {"n": 3}]),
        ({"list": [1, 2, 3]}, mask("list", "1", drop=True), {"list": [1, 3]}),
        ({"list": [1, 2, 3]}, mask("list", "*", drop=True), {"list": []}),
        ({"a": 1}, mask("b"), {"a": 1}),
        ({"a": {"x": 1, "y": 2}}, mask("a", "*"), {"a": {"x": "[masked]", "y": "[masked]"}}),
        ("text", mask(), "[masked]"),
    ],
)
def test_a_mask_takes_what_it_names_and_nothing_else(payload, obligation, result):
    assert masked_payload(payload, decision(obligations=[obligation])) == result


def test_masking_leaves_the_original_payload_as_it_was():
    payload = {"a": {"b": 1}}
    masked_payload(payload, decision(obligations=[mask("a", "b")]))
    assert payload == {"a": {"b": 1}}


def test_an_obligation_without_a_pointer_is_an_error_not_a_no_op():
    with pytest.raises(InternalError, match="has no pointer"):
        masked_payload({"a": 1}, decision(obligations=[Obligation("mask", "m", {})]))
