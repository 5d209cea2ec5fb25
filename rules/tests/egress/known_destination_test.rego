package tests.egress.known_destination_test

import data.platform.rules.egress.known_destination
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in known_destination.deny} with input as request
}

test_a_flow_to_a_declared_connector_passes if {
	_places(requests.data_flow) == set()
}

test_a_flow_to_its_address_passes if {
	_places(requests.flow_to_url) == set()
}

test_a_flow_to_an_unlisted_address_is_refused if {
	request := requests.changed(requests.flow_to_url, "/facts/url/host", "collect.evil.example")
	_places(request) == {["resource", "destination"]}
}

test_a_flow_to_a_connector_that_was_not_deployed_is_refused if {
	_places(requests.without(requests.data_flow, "/app/connectors/1")) == {["resource", "destination"]}
}

test_a_flow_without_an_address_is_refused_whatever_the_facts_say if {
	_places(requests.without(requests.flow_to_url, "/resource/destination/url")) == {["resource", "destination"]}
}

test_a_flow_without_a_destination_is_refused if {
	_places(requests.without(requests.data_flow, "/resource/destination")) == {["resource", "destination"]}
}

test_no_facts_means_no_destination_is_known if {
	_places(requests.without(requests.data_flow, "/facts")) == {["resource", "destination"]}
}

test_an_answer_of_a_connector_of_the_app_passes if {
	_places(requests.answer) == set()
}

test_an_answer_of_a_connector_that_was_not_deployed_is_refused if {
	_places(requests.without(requests.answer, "/app/connectors/0")) == {["resource", "destination"]}
	_places(requests.changed(requests.answer, "/resource/source", "slack")) == {["resource", "destination"]}
	_places(requests.without(requests.answer, "/resource/source")) == {["resource", "destination"]}
}

test_an_answer_of_a_connector_that_is_not_approved_is_refused if {
	_places(requests.without(requests.changed(requests.answer, "/facts/connectors/0/state", "proposed"), "/facts/connectors/0/approvals")) == {["resource", "destination"]}
}

test_an_answer_goes_to_the_app_alone if {
	_places(requests.changed(requests.answer, "/resource/destination/app", "other")) == {["resource", "destination"]}
	_places(requests.extended(requests.answer, "/resource/destination/url", "https://evil.example/")) == {["resource", "destination"]}
	_places(requests.changed(requests.answer, "/app/name", "")) == {["resource", "destination"]}
}

test_an_event_goes_to_the_exchange_or_to_a_subscription_and_nowhere_beside if {
	_places(requests.event_published) == set()
	_places(requests.event_delivered) == set()
	_places(requests.extended(requests.event_published, "/resource/destination/url", "https://evil.example/")) == {["resource", "destination"]}
	_places(requests.extended(requests.event_delivered, "/resource/destination/topic", "x")) == {["resource", "destination"]}
	_places(requests.changed(requests.event_published, "/resource/destination/topic", "")) == {["resource", "destination"]}
}
