package tests.data.aggregation_test

import data.platform.obligations.generalize
import data.platform.rules.data.aggregation
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in aggregation.deny} with input as request
}

_coarser(request) := pointers if {
	pointers := {v.pointer | some v in generalize.oblige} with input as request
}

_found := [
	{"pointer": "/payload/0/zip", "entity": "POSTAL_CODE"},
	{"pointer": "/payload/0/sex", "entity": "GENDER"},
	{"pointer": "/payload/0/age", "entity": "AGE"},
]

_in_body := [object.union(f, {"pointer": replace(f.pointer, "payload", "body")}) | some f in _found]

test_three_details_of_one_record_are_made_coarser_for_a_known_destination if {
	request := requests.changed(requests.data_flow, "/facts/pii", _found)
	_places(request) == set()
	_coarser(request) == {["0", "zip"], ["0", "sex"], ["0", "age"]}
}

test_they_may_not_go_to_an_address_that_nobody_knows if {
	request := requests.changed(requests.changed(requests.flow_to_url, "/facts/url/host", "collect.evil.example"), "/facts/pii", _found)
	_places(request) == {["resource", "payload", "0"]}
}

test_a_call_cannot_make_them_coarser if {
	request := requests.changed(requests.changed(requests.connector_call, "/facts/pii", _in_body), "/resource/connector", "recommender")
	_places(request) == {["resource", "body", "0"]}
}

test_details_that_cannot_be_changed_are_refused if {
	_places(requests.changed(requests.data_flow, "/facts/pii", _in_body)) == {["resource", "body", "0"]}
}

test_a_destination_that_may_have_personal_data_gets_them if {
	request := requests.changed(requests.connector_call, "/facts/pii", _in_body)
	_places(request) == set()
	_coarser(request) == set()
}

test_two_details_are_harmless if {
	request := requests.changed(requests.data_flow, "/facts/pii", array.slice(_found, 0, 2))
	_places(request) == set()
	_coarser(request) == set()
}

test_three_of_one_kind_are_one_detail if {
	same := [object.union(f, {"entity": "AGE"}) | some f in _found]
	_coarser(requests.changed(requests.data_flow, "/facts/pii", same)) == set()
}

test_details_of_several_records_do_not_add_up if {
	spread := [object.union(f, {"pointer": sprintf("/payload/%d/x", [i])}) | some i, f in _found]
	_coarser(requests.changed(requests.data_flow, "/facts/pii", spread)) == set()
}

test_rows_of_a_text_are_records if {
	rows := [object.union(f, {"pointer": "/payload", "within": sprintf("/7/c%d", [i]), "span": [i, i + 1]}) | some i, f in _found]
	_coarser(requests.changed(requests.data_flow, "/facts/pii", rows)) == {[]}
}

test_no_facts_mean_no_details if {
	_places(requests.without(requests.data_flow, "/facts")) == set()
}

test_a_kind_that_is_not_free_is_another_rule_s if {
	with_person := array.concat(array.slice(_found, 0, 2), [{"pointer": "/payload/0/n", "entity": "PERSON"}])
	_coarser(requests.changed(requests.data_flow, "/facts/pii", with_person)) == set()
}
