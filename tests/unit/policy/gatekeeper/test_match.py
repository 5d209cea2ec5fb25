"""Whom a constraint looks at: one bundle of many matches, asked about many objects."""

from __future__ import annotations

import pytest

from tests.unit.policy.gatekeeper.conftest import World, constraint, template


def thing(kind="Pod", api="v1", name="web-1", namespace="shop", labels=None, **metadata) -> dict:
    meta = {"name": name, "namespace": namespace, "labels": labels or {}, **metadata}
    return {"apiVersion": api, "kind": kind, "metadata": {k: v for k, v in meta.items() if v not in ("", None)}}


def expression(operator, *values) -> dict:
    return {"matchExpressions": [{"key": "tier", "operator": operator, **({"values": list(values)} if values else {})}]}


MATCHES = {
    "any": {},
    "pods": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]},
    "apps": {"kinds": [{"apiGroups": ["apps", "batch"], "kinds": ["*"]}]},
    "all-groups": {"kinds": [{"apiGroups": ["*"], "kinds": ["Deployment"]}]},
    "no-kinds": {"kinds": [{"apiGroups": ["apps"]}]},
    "cluster": {"scope": "Cluster"},
    "namespaced": {"scope": "Namespaced"},
    "in-shop": {"namespaces": ["shop"]},
    "in-shop-star": {"namespaces": ["kube-*", "sho*"]},
    "in-star-hop": {"namespaces": ["*hop"]},
    "in-star-ho-star": {"namespaces": ["*ho*"]},
    "not-shop": {"excludedNamespaces": ["shop"]},
    "not-star-op": {"excludedNamespaces": ["*-op", "*hop"]},
    "named": {"name": "web-1"},
    "named-star": {"name": "web-*"},
    "star-named": {"name": "*-1"},
    "gold": {"labelSelector": {"matchLabels": {"tier": "gold"}}},
    "in-gold": {"labelSelector": expression("In", "gold", "blue")},
    "not-gold": {"labelSelector": expression("NotIn", "gold")},
    "has-tier": {"labelSelector": expression("Exists")},
    "no-tier": {"labelSelector": expression("DoesNotExist")},
    "prod-space": {"namespaceSelector": {"matchLabels": {"env": "prod"}}},
    "dev-space": {"namespaceSelector": {"matchLabels": {"env": "dev"}}},
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}}
ALL = set(MATCHES)
POD_IN_SHOP = ALL - {
    "apps",
    "all-groups",
    "no-kinds",
    "cluster",
    "not-shop",
    "not-star-op",
    "gold",
    "in-gold",
    "has-tier",
    "dev-space",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("cluster"))
    world.load(template(), *(constraint(name=name, match=match) for name, match in MATCHES.items()), inventory=[SPACE])
    return world


def looking(cluster, resource, **context) -> set[str]:
    decision = cluster.decide(resource, context=context)
    assert decision.error is None
    return {violation.rule.partition("/")[2] for violation in decision.violations}


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (thing(), POD_IN_SHOP),
        (thing(labels={"tier": "gold"}), POD_IN_SHOP - {"not-gold", "no-tier"} | {"gold", "in-gold", "has-tier"}),
        (thing(labels={"tier": "blue"}), POD_IN_SHOP - {"no-tier"} | {"in-gold", "has-tier"}),
        (thing("Deployment", "apps/v1"), POD_IN_SHOP - {"pods"} | {"apps", "all-groups", "no-kinds"}),
        (thing("Deployment", "other/v1"), POD_IN_SHOP - {"pods"} | {"all-groups"}),
        (thing(name="db-1"), POD_IN_SHOP - {"named", "named-star"}),
        (thing(name="", generateName="web-"), POD_IN_SHOP),
        (thing(name="", generateName="db-"), POD_IN_SHOP - {"named", "named-star"}),
    ],
    ids=["pod", "gold", "blue", "deployment", "other group", "other name", "name to come", "other name to come"],
)
def test_objects_in_a_namespace(cluster, resource, wanted):
    assert looking(cluster, resource, namespace="shop") == wanted


def test_a_namespace_is_its_own_place_and_has_its_own_labels(cluster):
    other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "dev"}}}
    found = looking(cluster, other, namespace="shop")
    assert {"cluster", "in-shop", "dev-space"} <= found
    assert not found & {"namespaced", "not-shop", "prod-space"}


def test_what_has_no_namespace_is_not_left_out_for_that(cluster):
    found = looking(cluster, thing("ClusterRole", "rbac.authorization.k8s.io/v1", namespace=""), namespace="")
    assert {"cluster", "in-shop", "not-shop", "prod-space", "dev-space"} <= found
    assert "namespaced" not in found


def test_a_file_that_leaves_its_namespace_open_may_be_in_any(cluster):
    assert {"namespaced", "in-shop", "not-shop"} <= looking(cluster, thing(namespace=""))


def test_dropping_a_label_is_no_way_out(cluster):
    before = thing(labels={"tier": "gold"})
    assert "gold" not in looking(cluster, thing(), namespace="shop")
    assert "gold" in looking(cluster, thing(), namespace="shop", old_object=before)


def test_the_reviews_namespace_counts_not_the_objects_word(cluster):
    found = looking(cluster, thing(namespace="elsewhere"), namespace="shop")
    assert "in-shop" in found


def test_labels_of_a_namespace_that_nobody_knows_are_a_violation_that_says_so(cluster):
    decision = cluster.decide(thing(namespace="new"), context={"namespace": "new"})
    said = {v.rule.partition("/")[2]: v.message for v in decision.violations}
    assert 'labels of namespace "new", which are not known here' in said["prod-space"]
    assert "dev-space" in said
