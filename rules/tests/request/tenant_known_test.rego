package tests.request.tenant_known_test

import data.platform.rules.request.tenant_known
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in tenant_known.deny} with input as request
}

test_the_app_s_own_tenant_passes if {
	_places(requests.deploy) == set()
}

test_an_unknown_tenant_is_refused if {
	_places(requests.changed(requests.deploy, "/facts/tenant/known", false)) == {["tenant"]}
}

test_facts_about_another_tenant_do_not_count if {
	_places(requests.changed(requests.deploy, "/facts/tenant/name", "hr")) == {["tenant"]}
}

test_an_app_of_another_tenant_is_refused if {
	_places(requests.changed(requests.connector_call, "/app/tenant", "hr")) == {["app", "tenant"]}
}

test_a_request_without_a_tenant_is_refused if {
	_places(requests.without(requests.deploy, "/tenant")) == {["tenant"], ["app", "tenant"]}
}

test_an_empty_tenant_is_refused if {
	_places(requests.changed(requests.deploy, "/tenant", "")) == {["tenant"], ["app", "tenant"]}
}

test_no_facts_means_no_tenant_is_known if {
	_places(requests.without(requests.deploy, "/facts")) == {["tenant"]}
}

test_a_tenant_without_a_name_is_not_known_whatever_the_facts_say if {
	request := requests.changed(requests.changed(requests.changed(requests.deploy, "/tenant", ""), "/app/tenant", ""), "/facts/tenant/name", "")
	_places(request) == {["tenant"]}
}
