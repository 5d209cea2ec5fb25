package tests.data.flow_region_test

import data.platform.rules.data.flow_region
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in flow_region.deny} with input as request
}

test_a_flow_that_names_no_region_passes if {
	_places(requests.data_flow) == set()
}

test_the_registered_region_passes if {
	request := requests.extended(requests.data_flow, "/resource/destination/region", "eu")
	_places(request) == set()
}

test_another_region_is_refused if {
	request := requests.extended(requests.data_flow, "/resource/destination/region", "us")
	_places(request) == {["resource", "destination", "region"]}
}

test_an_address_of_a_connector_within_reach_passes if {
	_places(requests.flow_to_url) == set()
}

test_an_address_of_a_connector_out_of_reach_is_refused if {
	request := requests.changed(requests.flow_to_url, "/facts/connectors/1/regions", ["us"])
	_places(request) == {["resource", "destination"]}
}

test_an_app_without_a_region_reaches_no_address if {
	_places(requests.changed(requests.flow_to_url, "/app/data/residency", [])) == {["resource", "destination"]}
}

test_an_app_in_an_unknown_region_reaches_no_address if {
	request := requests.changed(requests.flow_to_url, "/app/data/residency", ["mars"])
	_places(request) == {["resource", "destination"]}
}

test_no_facts_means_no_region_is_registered if {
	request := requests.without(requests.extended(requests.data_flow, "/resource/destination/region", "eu"), "/facts")
	_places(request) == {["resource", "destination", "region"]}
}

test_a_connector_out_of_reach_is_judged_by_another_rule if {
	request := requests.changed(requests.data_flow, "/facts/connectors/1/regions", ["us"])
	_places(request) == set()
}

# The recommender keeps data in two regions, each with a host of its own.
_two_regions := requests.extended(
	requests.changed(requests.flow_to_url, "/facts/connectors/1/regions", ["eu", "us"]),
	"/facts/connectors/1/region_hosts", {"eu": ["api.recommender.example.com"], "us": ["us.recommender.example.com"]},
)

test_the_host_says_which_of_a_connector_s_regions_the_data_goes_to if {
	_places(_two_regions) == set()
	_places(requests.extended(_two_regions, "/resource/destination/region", "eu")) == set()
	_places(requests.extended(_two_regions, "/resource/destination/region", "us")) == {["resource", "destination", "region"]}
}

test_a_host_of_a_region_out_of_reach_is_refused_whatever_else_the_connector_has if {
	elsewhere := requests.changed(_two_regions, "/facts/connectors/1/region_hosts", {"eu": ["eu.recommender.example.com"], "us": ["api.recommender.example.com"]})
	_places(elsewhere) == {["resource", "destination"]}
}

test_a_host_that_no_region_names_may_be_in_any_of_them if {
	unplaced := requests.changed(_two_regions, "/facts/connectors/1/region_hosts", {"eu": ["eu.recommender.example.com"]})
	_places(unplaced) == {["resource", "destination"]}
}
