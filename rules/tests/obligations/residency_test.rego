package tests.obligations.residency_test

import data.platform.obligations.residency
import data.tests.lib.requests

_values(request) := values if {
	values := residency.oblige with input as request
}

test_the_app_s_regions_are_named if {
	_values(requests.deploy) == {"eu"}
}

test_without_an_app_there_are_none if {
	_values(requests.without(requests.connector_call, "/app")) == set()
}
