package tests.egress.host_of_connector_test

import data.platform.rules.egress.host_of_connector
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in host_of_connector.deny} with input as request
}

test_the_connector_s_own_host_passes if {
	_places(requests.connector_call) == set()
}

test_an_address_of_a_connector_passes_without_its_name if {
	_places(requests.flow_to_url) == set()
}

test_the_host_of_somebody_else_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/host", "collect.evil.example")
	_places(request) == {["resource", "url"]}
}

test_the_host_of_another_connector_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/host", "api.recommender.example.com")
	_places(request) == {["resource", "url"]}
}

test_a_name_that_only_begins_like_the_host_is_refused if {
	request := requests.changed(requests.flow_to_url, "/facts/url/host", "api.recommender.example.com.evil.example")
	_places(request) == {["resource", "destination", "url"]}
}

test_no_facts_means_no_host_belongs_to_the_connector if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource", "url"]}
}
