package tests.kubernetes.tenant_known_test

import data.platform.rules.kubernetes.tenant_known
import data.tests.lib.requests
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in tenant_known.deny} with input as request
}

_label := "microapps.internal/tenant"

_place := ["resource", "metadata", "labels", _label]

_labelled(value) := object.union(requests.workload, {"resource": {"metadata": {"labels": {_label: value}}}})

test_the_tenant_that_asks_passes if {
	_found(requests.workload) == set()
}

test_another_tenant_than_the_one_that_asks_is_refused if {
	_found(_labelled("hr")) == {_place}
	_found(object.union(requests.workload, {"tenant": "hr"})) == {_place}
}

test_an_unknown_tenant_is_refused if {
	_found(object.union(requests.workload, {"facts": {"tenant": {"known": false}}})) == {_place}
	_found(object.union(requests.workload, {"facts": {"tenant": {"name": "hr"}}})) == {_place}
	_found(requests.without(requests.workload, "/facts")) == {_place}
}

test_no_tenant_is_refused if {
	nobody := {"tenant": "", "facts": {"tenant": {"known": true, "name": ""}}}
	_found(object.union(_labelled(""), nobody)) == {_place}
	_found(_labelled(null)) == {_place}
}

test_the_pod_template_belongs_to_the_same_tenant if {
	good := workloads.within(requests.workload, "Deployment", ["template"])
	_found(good) == set()
	_found(requests.without(good, "/resource/metadata/labels")) == {_place}
	other := requests.without(good, "/resource/spec/template/metadata/labels")
	_found(other) == {["resource", "spec", "template", "metadata", "labels", _label]}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(_labelled("hr"), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in tenant_known.deny} with input as object.union(_labelled("hr"), {"context": {"profile": "baseline"}})
	weights == {"warn"}
	alone := {v.effect | some v in tenant_known.deny} with input as _labelled("hr")
	alone == {"deny"}
}
