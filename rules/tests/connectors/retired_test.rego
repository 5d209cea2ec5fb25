package tests.connectors.retired_test

import data.platform.rules.connectors.retired
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in retired.deny} with input as request
}

test_connectors_without_a_retirement_day_pass if {
	_places(requests.deploy) == set()
}

test_a_connector_is_refused_from_its_retirement_day_on if {
	request := requests.extended(requests.deploy, "/facts/connectors/0/retires_at", "2026-11-24T09:00:00Z")
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_a_connector_may_be_used_until_that_very_moment if {
	request := requests.extended(requests.deploy, "/facts/connectors/0/retires_at", "2026-11-24T09:00:01Z")
	_places(request) == set()
}

test_a_call_is_refused_as_well_and_the_successor_does_no_harm if {
	request := requests.extended(requests.extended(requests.connector_call, "/facts/connectors/0/retires_at", "2026-01-01T00:00:00Z"), "/facts/connectors/0/replaced_by", "people")
	_places(request) == {["resource", "connector"]}
}

test_without_a_clock_a_retirement_day_has_come if {
	request := requests.without(requests.extended(requests.deploy, "/facts/connectors/0/retires_at", "2026-12-24T09:00:00Z"), "/now")
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_without_facts_there_is_no_day_to_compare_and_approval_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_a_flow_to_its_address_is_refused_as_one_to_its_name_is if {
	over := requests.extended(requests.flow_to_url, "/facts/connectors/1/retires_at", "2026-11-24T09:00:00Z")
	_places(requests.flow_to_url) == set()
	_places(over) == {["resource", "destination", "url"]}
}
