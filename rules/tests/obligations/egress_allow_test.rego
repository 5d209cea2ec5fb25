package tests.obligations.egress_allow_test

import data.platform.obligations.egress_allow
import data.tests.lib.requests

_values(request) := values if {
	values := egress_allow.oblige with input as request
}

test_the_connectors_hosts_are_allowed if {
	_values(requests.deploy) == {"api.hris.example.com", "api.recommender.example.com"}
}

test_a_host_of_nobody_is_never_allowed if {
	request := requests.extended(requests.deploy, "/app/egress/0", "collect.evil.example")
	_values(request) == {"api.hris.example.com", "api.recommender.example.com"}
}

test_a_call_is_allowed_the_one_host_it_goes_to if {
	_values(requests.connector_call) == {"api.hris.example.com"}
}

test_a_call_to_a_host_of_nobody_is_allowed_none if {
	request := requests.changed(requests.connector_call, "/facts/url/host", "collect.evil.example")
	_values(request) == set()
}

test_no_facts_means_no_host if {
	_values(requests.without(requests.deploy, "/facts")) == set()
}
