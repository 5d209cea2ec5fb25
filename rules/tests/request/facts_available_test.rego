package tests.request.facts_available_test

import data.platform.rules.request.facts_available
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in facts_available.deny} with input as request
}

test_all_stages_answered if {
	_places(requests.deploy) == set()
}

test_a_failed_stage_is_refused if {
	_places(requests.changed(requests.deploy, "/facts/unavailable", ["pii"])) == {["facts", "unavailable"]}
}

test_an_advisory_stage_may_fail if {
	_places(requests.changed(requests.deploy, "/facts/unavailable", ["review"])) == set()
}

test_no_facts_are_refused if {
	_places(requests.without(requests.connector_call, "/facts")) == {["facts", "unavailable"]}
}
