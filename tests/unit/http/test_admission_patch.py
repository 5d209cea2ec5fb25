"""The patch of a workload: what is missing is added, what is there stays, and applied once there is nothing left to add."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.entrypoints.http.admission_patch import TEMPLATES, patch_of
from governance.errors import InternalError
from governance.model.decision import ALLOW, Decision, Obligation
from governance.model.patch import patched

CAPS = {"cpu": 0.5, "memoryMiB": 256, "storageMiB": 64, "timeoutMs": 5000}
TENANT = {"name": "microapps.internal/tenant", "value": "hr"}
ALL = (("caps", CAPS), ("runtime_class", "gvisor"), ("label", TENANT), ("egress_allow", "api.example.com"))
LIMITS = {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "64Mi"}


def decision(*obligations: tuple[str, object]) -> Decision:
    made = tuple(Obligation(sort, "test", value) for sort, value in obligations)
    return Decision(
        "id", "workload", ALLOW, (), made, "", None, "r", "d", "f", "rvm", "2026-01-01T00:00:00Z", None, "t"
    )


def workload(kind: str, spec: dict, metadata: object = None) -> dict:
    """An object of `kind` around a pod spec."""
    place = TEMPLATES[kind]
    inner: dict = {"metadata": metadata, "spec": spec} if metadata is not None else {"spec": spec}
    if not place:
        return {"apiVersion": "v1", "kind": kind, **inner, "metadata": {"name": "x", **(metadata or {})}}
    for name in reversed(place):
        inner = {name: inner}
    version = {"CronJob": "batch/v1", "Job": "batch/v1", "PodTemplate": "v1", "ReplicationController": "v1"}
    return {"apiVersion": version.get(kind, "apps/v1"), "kind": kind, "metadata": {"name": "x"}, **inner}


def pod_spec(obj: dict) -> dict:
    for name in TEMPLATES[obj["kind"]]:
        obj = obj[name]
    return obj["spec"]


@pytest.mark.parametrize("kind", sorted(TEMPLATES))
def test_every_workload_gets_what_is_missing_and_only_once(kind):
    before = workload(kind, {"containers": [{"name": "a"}, {"name": "b", "resources": None}], "initContainers": [{}]})
    after = patched(before, patch_of(before, decision(*ALL), is_new=True))
    spec = pod_spec(after)
    assert spec["runtimeClassName"] == "gvisor"
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["resources"]["limits"] == LIMITS
    places = [after["metadata"]]
    template = after
    for name in TEMPLATES[kind]:
        template = template[name]
    places.append(template["metadata"])
    for metadata in places:
        assert metadata["labels"] == {"microapps.internal/tenant": "hr"}
        assert metadata["annotations"] == {"microapps.internal/egress-allow": '["api.example.com"]'}
    assert patch_of(after, decision(*ALL), is_new=True) == []


def test_what_is_there_stays_for_a_rule_to_judge():
    limits = {"cpu": "64", "memory": "1Ti"}
    before = workload(
        "Pod", {"runtimeClassName": "own", "containers": [{"name": "a", "resources": {"limits": limits}}]}
    )
    spec = pod_spec(patched(before, patch_of(before, decision(*ALL), is_new=True)))
    assert spec["runtimeClassName"] == "own"
    assert spec["containers"][0]["resources"]["limits"] == {**limits, "ephemeral-storage": "64Mi"}


@pytest.mark.parametrize("kind", ["Pod", "Job"])
def test_pods_that_exist_are_labelled_and_otherwise_left(kind):
    before = workload(kind, {"containers": [{"name": "a"}]})
    paths = {step["path"] for step in patch_of(before, decision(*ALL), is_new=False)}
    assert paths
    assert all(path.startswith("/metadata") for path in paths)


@pytest.mark.parametrize(
    "target",
    [
        {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 3}},
        {"apiVersion": "example.com/v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{}]}},
    ],
)
def test_somebody_else_s_kind_is_never_patched_inside(target):
    assert all(step["path"].startswith("/metadata") for step in patch_of(target, decision(*ALL), is_new=True))


def test_the_tightest_of_several_caps_counts_and_two_classes_are_a_contradiction():
    before = workload("Pod", {"containers": [{"name": "a"}]})
    twice = decision(("caps", CAPS), ("caps", {**CAPS, "cpu": 2, "memoryMiB": 128}))
    limits = pod_spec(patched(before, patch_of(before, twice, is_new=True)))["containers"][0]["resources"]["limits"]
    assert limits == {**LIMITS, "memory": "128Mi"}
    with pytest.raises(InternalError, match="2 runtime classes"):
        patch_of(before, decision(("runtime_class", "a"), ("runtime_class", "b")), is_new=True)


NAMES = st.sampled_from(["spec", "template", "metadata", "labels", "containers", "resources", "limits", "cpu", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(NAMES, value, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from(sorted(TEMPLATES)), JSON, JSON, st.booleans())
def test_no_object_breaks_the_patch_and_it_is_complete(kind, spec, metadata, is_new):
    version = {"CronJob": "batch/v1", "Job": "batch/v1", "Deployment": "apps/v1"}.get(kind, "v1")
    before = {"apiVersion": version, "kind": kind, "spec": spec, "metadata": metadata}
    after = patched(before, patch_of(before, decision(*ALL), is_new=is_new))
    assert patch_of(after, decision(*ALL), is_new=is_new) == []
