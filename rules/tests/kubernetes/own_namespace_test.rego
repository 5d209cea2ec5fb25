package tests.kubernetes.own_namespace_test

import data.platform.rules.kubernetes.own_namespace
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in own_namespace.deny} with input as request
}

_refused := {["context", "namespace"]}

_from(request, namespace) := object.union(request, {
	"context": {"namespace": namespace},
	"facts": {"tenant": object.union(request.facts.tenant, {"namespaces": ["marketing", "apps"]})},
})

test_outside_a_cluster_there_is_no_namespace if {
	every request in [requests.deploy, requests.template, requests.lifecycle] {
		_places(request) == set()
	}
}

test_a_namespace_of_the_tenant_passes if {
	every request in [requests.deploy, requests.template, requests.lifecycle] {
		_places(_from(request, "apps")) == set()
	}
}

test_the_namespace_of_another_tenant_is_refused if {
	every request in [requests.deploy, requests.template, requests.lifecycle] {
		_places(_from(request, "hr-space")) == _refused
	}
}

test_no_namespace_is_nobody_s if {
	request := requests.changed(_from(requests.deploy, ""), "/facts/tenant/namespaces", [""])
	_places(request) == _refused
}

test_what_is_no_text_is_none if {
	_places(_from(requests.deploy, null)) == _refused
}

test_a_tenant_without_namespaces_has_none if {
	_places(requests.without(_from(requests.deploy, "apps"), "/facts/tenant/namespaces")) == _refused
}

test_a_tenant_that_is_not_registered_has_none if {
	_places(requests.changed(_from(requests.deploy, "apps"), "/facts/tenant/known", false)) == _refused
}

test_words_are_no_proof_of_a_tenant if {
	_places(requests.changed(_from(requests.deploy, "apps"), "/facts/tenant/known", "yes")) == _refused
}

test_the_namespaces_of_another_tenant_are_not_this_one_s if {
	_places(requests.changed(_from(requests.deploy, "apps"), "/facts/tenant/name", "hr")) == _refused
}

test_who_is_of_no_tenant_has_no_namespace if {
	request := requests.changed(requests.changed(_from(requests.template, "apps"), "/tenant", ""), "/facts/tenant/name", "")
	_places(request) == _refused
}

test_no_facts_means_no_namespace_is_theirs if {
	_places(requests.without(_from(requests.deploy, "apps"), "/facts")) == _refused
}
