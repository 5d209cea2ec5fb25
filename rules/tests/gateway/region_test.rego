package tests.gateway.region_test

import data.platform.rules.gateway.region
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in region.deny} with input as request
}

test_a_gateway_in_the_app_s_region_passes if {
	_places(requests.app_call) == set()
}

test_a_gateway_elsewhere_is_refused if {
	_places(requests.changed(requests.app_call, "/resource/region", "us")) == {["resource", "region"]}
}

test_a_gateway_that_does_not_say_where_it_is_is_refused if {
	_places(requests.without(requests.app_call, "/resource/region")) == {["resource", "region"]}
	_places(requests.without(requests.app_call, "/resource")) == {["resource", "region"]}
}

test_an_app_without_regions_answers_nowhere if {
	_places(requests.without(requests.app_call, "/app/data")) == {["resource", "region"]}
}
