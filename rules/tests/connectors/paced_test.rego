package tests.connectors.paced_test

import data.platform.rules.connectors.paced
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in paced.deny} with input as request
}

_after(n) := requests.extended(requests.connector_call, "/facts/usage", {"calls_today": {"hris": 1}, "calls_last_minute": {"hris": n}})

_with_pace(request, pace) := requests.extended(request, "/facts/connectors/0/per_minute", pace)

_by_the_broker(request) := requests.changed(request, "/context", {"enforcement_point": "broker"})

test_the_last_call_of_the_minute_passes if {
	_places(_after(59)) == set()
}

test_the_next_one_is_refused if {
	_places(_after(60)) == {["resource", "connector"]}
}

test_the_business_area_s_own_pace_counts_before_the_one_for_all if {
	_places(_with_pace(_after(60), {"*": 10, "marketing": 100})) == set()
	_places(_with_pace(_after(100), {"*": 1000, "marketing": 100})) == {["resource", "connector"]}
}

test_the_pace_for_all_counts_for_an_area_without_one if {
	_places(_with_pace(_after(10), {"*": 10, "hr": 100})) == {["resource", "connector"]}
}

test_a_pace_in_words_is_no_pace if {
	_places(_with_pace(_after(0), {"*": "many"})) == {["resource", "connector"]}
}

test_a_count_that_is_no_number_is_refused if {
	_places(_after(null)) == {["resource", "connector"]}
}

test_where_nobody_counts_a_decision_needs_no_count if {
	_places(requests.connector_call) == set()
}

test_a_broker_without_a_count_is_refused if {
	_places(_by_the_broker(requests.connector_call)) == {["resource", "connector"]}
	_places(_by_the_broker(_after(0))) == set()
}

test_a_platform_that_meters_refuses_without_a_count if {
	request := requests.connector_call
	places := {v.path | some v in paced.deny} with input as request with data.platform.usage.metered as true
	places == {["resource", "connector"]}
}

test_without_facts_a_broker_is_refused if {
	_places(_by_the_broker(requests.without(requests.connector_call, "/facts"))) == {["resource", "connector"]}
}

test_the_message_says_how_many if {
	request := _after(61)
	messages := {v.message | some v in paced.deny} with input as request
	messages == {"The app has made 61 calls to the connector \"hris\" within a minute; 60 are granted."}
}
