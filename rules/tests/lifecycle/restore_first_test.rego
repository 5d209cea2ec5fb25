package tests.lifecycle.restore_first_test

import data.platform.rules.lifecycle.restore_first
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in restore_first.deny} with input as request
}

test_a_new_app_passes if {
	_places(requests.deploy) == set()
}

test_an_active_app_passes if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": true, "state": "active"})
	_places(request) == set()
}

test_an_archived_app_is_refused if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": true, "state": "archived"})
	_places(request) == {["app", "name"]}
}

test_an_app_in_an_unknown_state_is_refused if {
	_places(requests.changed(requests.deploy, "/facts/app", {"known": true})) == {["app", "name"]}
}

test_no_facts_means_no_state if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "name"]}
}

test_words_are_no_proof_of_a_state if {
	request := requests.changed(requests.deploy, "/facts/app", {"known": "yes", "state": "active"})
	_places(request) == {["app", "name"]}
}
