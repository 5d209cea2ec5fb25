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
