package tests.request.name_taken_test

import data.platform.rules.request.name_taken
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in name_taken.deny} with input as request
}

test_a_free_name_passes if {
	_places(requests.deploy) == set()
}

test_the_tenant_s_own_app_passes if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": true, "spec": {"tenant": "marketing"}})
	_places(request) == set()
}

test_the_name_of_another_tenant_s_app_is_refused if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": true, "spec": {"tenant": "hr"}})
	_places(request) == {["app", "name"]}
}

test_an_app_without_a_tenant_is_nobody_s_to_take if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": true, "spec": {}})
	_places(request) == {["app", "name"]}
}

test_words_are_no_proof_that_a_name_is_free if {
	_places(requests.changed(requests.deploy, "/facts/app", {"known": "no"})) == {["app", "name"]}
}

test_no_facts_means_no_name_is_free if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "name"]}
}

test_words_are_no_proof_of_a_deploy if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": "yes", "spec": {"tenant": "marketing"}})
	_places(request) == {["app", "name"]}
}
