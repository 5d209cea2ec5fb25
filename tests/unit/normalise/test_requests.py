"""Building a request: one canonical text and digest, and nobody becomes somebody else by saying so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import CallerError
from governance.model.request import Source
from governance.normalise.documents import read_documents
from governance.normalise.requests import (
    APP_LABEL,
    changed,
    is_app_name,
    is_malformed_manifest,
    manifest_kind,
    normalise_document,
    normalise_manifest,
    normalise_native,
)

KEY = Source("http.decisions", "key:1", ("citizen",))
SERVICE = Source("http.decisions", "key:2", ("service",))
CALL = {"kind": "connector_call", "tenant": "marketing", "resource": {"app": "a", "connector": "hris"}}


@given(st.permutations(list(CALL.items())), st.permutations(list(CALL["resource"].items())))
def test_the_order_of_members_changes_nothing(outer, inner):
    shuffled = {**dict(outer), "resource": dict(inner)}
    assert normalise_document(shuffled, KEY).digest == normalise_document(CALL, KEY).digest


@given(st.text(max_size=5), st.text(max_size=5))
def test_two_values_two_digests(left, right):
    digests = [normalise_document({**CALL, "context": {"note": text}}, KEY).digest for text in (left, right)]
    assert (digests[0] == digests[1]) == (left == right)


def test_the_subject_is_the_credential_unless_a_service_speaks_for_somebody():
    claim = {**CALL, "subject": {"id": "boss", "groups": ["admins"]}}
    assert normalise_document(claim, KEY).subject == {"id": "key:1", "actor": "key:1"}
    spoken = normalise_document(claim, SERVICE).subject
    assert spoken == {"id": "boss", "groups": ["admins"], "actor": "key:2"}


@pytest.mark.parametrize("claim", [{"id": 7}, {"id": ["boss"]}, {"actor": "boss"}, {"id": None}])
def test_a_claim_that_is_no_name_makes_the_service_speak_for_itself(claim):
    assert normalise_document({**CALL, "subject": claim}, SERVICE).subject["id"] == "key:2"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": "conjure"}, "/kind"),
        ({"kind": ["deploy"]}, "/kind"),
        ({"kind": None}, "/kind"),
        ({"resource": []}, "/resource"),
        ({"resource": None}, "/resource"),
        ({"dry_run": "yes"}, "/dry_run"),
        ({"dry_run": 1}, "/dry_run"),
        ({"tenant": 5}, "/tenant"),
        ({"subject": "boss"}, "/subject"),
        ({"context": []}, "/context"),
        ({"effect": "allow"}, "/effect"),
        ({"a/b~c": 1}, "/a~1b~0c"),
    ],
)
def test_what_is_wrong_is_pointed_at(change, where):
    with pytest.raises(CallerError) as caught:
        normalise_document({**CALL, **change}, KEY)
    assert caught.value.where == where


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"7"])
def test_only_an_object_is_a_request(body):
    with pytest.raises(CallerError):
        normalise_native(body, KEY)


MANIFEST = "apiVersion: microapps.internal/v1alpha1\nkind: {}\nmetadata: {{name: a}}\nspec: {{tenant: t}}\n"


def _document(kind: str):
    return read_documents(MANIFEST.format(kind).encode(), "f.yaml")[0]


def test_manifests_are_known_by_group_and_kind():
    assert manifest_kind(_document("MicroApp")) == "deploy"
    assert manifest_kind(_document("AppTemplate")) == "template"
    assert manifest_kind(_document("Waiver")) == "registry_entry"
    assert manifest_kind(_document("Deployment")) is None
    request = normalise_manifest(_document("MicroApp"), KEY)
    assert (request.kind, request.tenant, request.app) == ("deploy", "t", {"tenant": "t", "name": "a"})


@pytest.mark.parametrize("kind", ["Microapp", "microApp", "App", "7"])
def test_a_typo_in_our_group_is_not_somebody_else_s_document(kind):
    assert is_malformed_manifest(_document(kind))
    with pytest.raises(CallerError):
        normalise_manifest(_document(kind), KEY)


@pytest.mark.parametrize(
    "head",
    [
        "apiVersion: microapps.interal/v1alpha1\nkind: MicroApp\n", "apiVersion: v1\nkind: apptemplate\n",
        "apiVersion: Microapps.Internal/v1alpha1\nkind: Waiver\n", "apiVersion: ' microapps.internal/v1'\nkind: MicroApp\n",
    ],
)  # fmt: skip
def test_a_typo_in_the_group_is_not_somebody_else_s_document(head):
    (document,) = read_documents(head.encode(), "f.yaml")
    assert is_malformed_manifest(document)


def test_other_groups_are_none_of_ours():
    (pod,) = read_documents(b"apiVersion: v1\nkind: Pod\n", "f.yaml")
    assert not is_malformed_manifest(pod)
    assert manifest_kind(pod) is None


LABELS = {"microapps.internal/tenant": "hr", "microapps.internal/app": "lunch"}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": LABELS}, "spec": {}}


@pytest.mark.parametrize("kind", ["deploy", "workload"])
def test_a_deploy_of_somebody_elses_object_is_a_workload(kind):
    request = normalise_document({"kind": kind, "resource": POD}, KEY)
    assert (request.kind, request.action, request.tenant, request.app) == (
        "workload",
        "create",
        "hr",
        {"name": "lunch"},
    )
    assert normalise_document({"kind": kind, "tenant": "it", "resource": POD}, KEY).tenant == "it"


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "microapps.internal/v1alpha1"}, {"apiVersion": ""}, {"apiVersion": None}, {"apiVersion": 1},
        {"kind": ""}, {"kind": None}, {"kind": ["Pod"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_object_of_somebody_else_stays_a_manifest_that_its_schema_judges(change):
    assert normalise_document({"kind": "deploy", "resource": {**POD, **change}}, KEY).kind == "deploy"


@pytest.mark.parametrize("metadata", [None, "x", {}, {"labels": "x"}, {"labels": dict.fromkeys(LABELS, 7)}], ids=str)
def test_a_workload_that_does_not_say_whose_it_is_is_nobodys(metadata):
    request = normalise_document({"kind": "workload", "resource": {**POD, "metadata": metadata}}, KEY)
    assert (request.tenant, request.app) == ("", {"name": ""})


def test_a_changed_resource_is_a_request_of_its_own_by_the_same_person():
    request = normalise_document(CALL, KEY)
    other = changed(request, {**request.resource, "connector": "crm"})
    assert other.digest != request.digest
    assert (other.subject, other.source, other.tenant) == (request.subject, request.source, request.tenant)


def test_a_deploy_that_is_moved_to_another_tenant_by_a_fix_is_judged_there():
    request = normalise_manifest(_document("MicroApp"), KEY)
    resource = json.loads(json.dumps(request.resource).replace('"t"', '"u"'))
    assert changed(request, resource).tenant == "u"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "../a", "a" * 64, "ä", None, 7, "a\n"])
def test_what_is_no_app_name(name):
    assert not is_app_name(name)


@pytest.mark.parametrize("name", ["a", "a-b", "0a", "a" * 63])
def test_what_is_one(name):
    assert is_app_name(name)


def _made_by(kind, template):
    spec = {"Deployment": {"template": template}, "CronJob": {"jobTemplate": {"spec": {"template": template}}}}.get(
        kind
    )
    inner = {"template": template} if spec is None else {"spec": spec}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "labels": {APP_LABEL: "lunch"}}, **inner}


@pytest.mark.parametrize("kind", ["Deployment", "CronJob", "PodTemplate"])
def test_a_workload_is_of_the_app_that_its_pods_name_too(kind):
    for inner, app in (({APP_LABEL: "lunch"}, "lunch"), ({}, "lunch"), ({APP_LABEL: "other"}, "")):
        resource = _made_by(kind, {"metadata": {"labels": inner}})
        assert normalise_document({"kind": "workload", "resource": resource}, KEY).app == {"name": app}
