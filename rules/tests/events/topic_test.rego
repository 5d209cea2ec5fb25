package tests.events.topic_test

import data.platform.rules.events.topic
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in topic.deny} with input as request
}

_topic := ["resource", "destination", "topic"]

test_a_declared_event_that_follows_its_schema_passes if {
	_places(requests.event_published) == set()
}

test_other_flows_have_no_topic if {
	_places(requests.data_flow) == set()
	_places(requests.event_delivered) == set()
}

test_an_event_that_was_not_declared_is_refused if {
	_places(requests.changed(requests.event_published, "/facts/event", {"declared": false})) == {_topic}
}

test_an_event_that_does_not_follow_its_schema_is_refused if {
	errors := [{"pointer": "/group", "message": "is no text"}]
	request := requests.changed(requests.event_published, "/facts/event/schema_errors", errors)
	_places(request) == {["resource", "payload"]}
	messages := {v.message | some v in topic.deny} with input as request
	messages == {"The event does not follow its schema at \"/group\": is no text."}
}

test_an_event_that_nobody_checked_is_refused if {
	_places(requests.without(requests.event_published, "/facts/event/schema_errors")) == {["resource", "payload"]}
}

test_no_facts_means_nothing_was_declared if {
	_places(requests.without(requests.event_published, "/facts")) == {_topic}
	_places(requests.without(requests.event_published, "/facts/event")) == {_topic}
}

test_what_names_more_than_a_topic_is_another_rule_s_to_refuse if {
	more := requests.extended(requests.event_published, "/resource/destination/url", "https://evil.example/")
	_places(requests.changed(more, "/facts/event", {"declared": false})) == set()
	_places(requests.without(more, "/facts/event/schema_errors")) == set()
	_places(requests.changed(more, "/facts/event/schema_errors", [{"pointer": "", "message": "is odd"}])) == set()
}
