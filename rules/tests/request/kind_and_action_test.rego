package tests.request.kind_and_action_test

import data.platform.rules.request.kind_and_action
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in kind_and_action.deny} with input as request
}

test_a_known_action_passes if {
	_places(requests.deploy) == set()
}

test_an_action_of_another_kind_is_refused if {
	_places(requests.changed(requests.deploy, "/action", "call")) == {["action"]}
}

test_an_unknown_kind_is_refused if {
	_places(requests.changed(requests.deploy, "/kind", "explode")) == {["action"]}
}

test_a_missing_action_is_refused if {
	_places(requests.without(requests.lifecycle, "/action")) == {["action"]}
}

test_a_request_without_a_time_is_refused if {
	_places(requests.without(requests.deploy, "/now")) == {["now"]}
}

test_facts_change_nothing_about_a_question if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
