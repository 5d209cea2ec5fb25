package tests.connectors.calls_left_test

import data.platform.rules.connectors.calls_left
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in calls_left.deny} with input as request
}

test_a_call_within_the_limit_passes if {
	_places(requests.connector_call) == set()
}

test_a_call_beyond_the_limit_is_refused if {
	request := requests.extended(requests.connector_call, "/facts/usage", {"calls_today": {"hris": 5000}})
	_places(request) == {["resource", "connector"]}
}

test_the_last_call_of_the_day_passes if {
	request := requests.extended(requests.connector_call, "/facts/usage", {"calls_today": {"hris": 4999}})
	_places(request) == set()
}

test_a_count_that_is_no_number_is_refused if {
	request := requests.extended(requests.connector_call, "/facts/usage", {"calls_today": {"hris": null}})
	_places(request) == {["resource", "connector"]}
}

test_an_area_without_a_limit_has_no_calls if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/limits", {})
	_places(request) == {["resource", "connector"]}
}

test_without_a_tenant_the_limit_for_all_others_counts if {
	request := requests.extended(requests.without(requests.connector_call, "/facts/tenant"), "/facts/usage", {"calls_today": {"hris": 1000}})
	_places(request) == {["resource", "connector"]}
}

test_where_calls_are_metered_a_missing_count_is_refused if {
	request := requests.connector_call
	places := {v.path | some v in calls_left.deny} with input as request with data.platform.usage.metered as true
	places == {["resource", "connector"]}
}

test_where_calls_are_metered_a_count_is_enough if {
	request := requests.extended(requests.connector_call, "/facts/usage", {"calls_today": {"hris": 1}})
	places := {v.path | some v in calls_left.deny} with input as request with data.platform.usage.metered as true
	places == set()
}

test_without_facts_there_is_no_connector_to_count_and_approval_is_refused_elsewhere if {
	_places(requests.without(requests.connector_call, "/facts")) == set()
}

test_a_limit_in_words_is_no_limit if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/limits", {"*": "many"})
	_places(request) == {["resource", "connector"]}
}

test_a_broker_without_a_count_is_refused if {
	_places(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"})) == {["resource", "connector"]}
}
