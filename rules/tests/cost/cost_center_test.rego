package tests.cost.cost_center_test

import data.platform.rules.cost.cost_center
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in cost_center.deny} with input as request
}

test_a_cost_center_of_the_tenant_passes if {
	_places(requests.deploy) == set()
}

test_a_missing_cost_center_is_refused if {
	_places(requests.without(requests.deploy, "/app/costCenter")) == {["app", "costCenter"]}
}

test_a_cost_center_of_another_tenant_is_refused if {
	_places(requests.changed(requests.deploy, "/app/costCenter", "HR-10")) == {["app", "costCenter"]}
}

test_a_badly_written_one_is_refused_even_if_the_tenant_has_it if {
	request := requests.changed(requests.changed(requests.deploy, "/app/costCenter", "mk42"), "/facts/tenant/cost_centers", ["mk42"])
	_places(request) == {["app", "costCenter"]}
}

test_a_number_is_no_cost_center if {
	_places(requests.changed(requests.deploy, "/app/costCenter", 42)) == {["app", "costCenter"]}
}

test_no_facts_means_no_cost_center_is_known if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "costCenter"]}
}
