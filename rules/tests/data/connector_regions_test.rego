package tests.data.connector_regions_test

import data.platform.rules.data.connector_regions
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in connector_regions.deny} with input as request
}

test_a_connector_in_the_app_s_region_passes if {
	_places(requests.deploy) == set()
}

test_a_connector_in_a_region_out_of_reach_is_refused if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/regions", ["eu", "us"])
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_a_region_within_reach_passes if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/regions", ["ch"])
	_places(request) == set()
}

test_a_call_is_held_to_the_same if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/regions", ["us"])
	_places(request) == {["resource", "connector"]}
}

test_a_flow_is_held_to_the_same if {
	request := requests.changed(requests.data_flow, "/facts/connectors/1/regions", ["us"])
	_places(request) == {["resource", "destination", "connector"]}
}

test_a_connector_without_a_region_is_nowhere if {
	_places(requests.changed(requests.deploy, "/facts/connectors/1/regions", [])) == {["app", "connectors", 1, "name"]}
}

test_an_app_without_a_region_reaches_nothing if {
	_places(requests.without(requests.deploy, "/app/data/residency")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_an_app_in_an_unknown_region_reaches_nothing if {
	_places(requests.changed(requests.deploy, "/app/data/residency", ["mars"])) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_no_facts_means_nothing_is_within_reach if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_a_flow_to_an_address_is_held_to_the_same if {
	_places(requests.flow_to_url) == set()
	_places(requests.changed(requests.flow_to_url, "/facts/connectors/1/regions", ["us"])) == {["resource", "destination", "url"]}
}
