package tests.events.declared_test

import data.platform.rules.events.declared
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared.deny} with input as request
}

test_a_manifest_whose_events_can_be_carried_out_passes if {
	_places(requests.deploy_with_events) == set()
}

test_a_manifest_without_events_needs_no_facts_about_them if {
	_places(requests.deploy) == set()
}

test_each_problem_is_named_at_its_place if {
	problems := [
		{"path": ["schedules", 0, "cron"], "message": "is no cron expression"},
		{"path": ["publishes", 0, "schema"], "message": "is no JSON Schema"},
	]
	_places(requests.changed(requests.deploy_with_events, "/facts/events/problems", problems)) == {
		["app", "events", "schedules", 0, "cron"],
		["app", "events", "publishes", 0, "schema"],
	}
}

test_no_facts_means_nobody_read_it if {
	_places(requests.without(requests.deploy_with_events, "/facts")) == {["app", "events"]}
	_places(requests.without(requests.deploy_with_events, "/facts/events")) == {["app", "events"]}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/problems", null)) == {["app", "events"]}
}

test_the_message_says_what_is_wrong if {
	request := requests.changed(requests.deploy_with_events, "/facts/events/problems", [{"path": ["schedules"], "message": "is odd"}])
	messages := {v.message | some v in declared.deny} with input as request
	messages == {"This is odd."}
}
