package tests.data.refused_test

import data.platform.obligations.mask
import data.platform.obligations.refuse
import data.platform.rules.data.refused
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in refused.deny} with input as request
}

_pointers(request) := pointers if {
	pointers := {v.pointer | some v in refuse.oblige} with input as request
}

_masked(request) := pointers if {
	pointers := {v.pointer | some v in mask.oblige} with input as request
}

_code := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/cvv", "entity": "CARD_SECURITY_CODE"}])

# The source's `office` is restricted.
_field := requests.changed(
	requests.changed(requests.data_flow, "/facts/connectors/0/fields/2/class", "restricted"),
	"/resource/payload", {"Resources": [{"office": "7"}]},
)

test_a_flow_without_such_data_passes if {
	_places(requests.data_flow) == set()
	_pointers(requests.data_flow) == set()
	_places(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/x", "entity": "PERSON"}])) == set()
}

test_a_kind_that_is_refused_is_named_at_its_place_and_not_masked if {
	_places(_code) == {["resource", "payload", "cvv"]}
	_pointers(_code) == {["cvv"]}
	_masked(_code) == set()
}

test_a_destination_that_is_cleared_takes_it if {
	_places(requests.changed(_code, "/facts/connectors/1/data_classes", ["financial"])) == set()
}

test_a_restricted_field_of_the_source_is_refused_not_masked if {
	_places(_field) == {["resource", "payload", "Resources", "*", "office"]}
	_pointers(_field) == {["Resources", "*", "office"]}
	not ["Resources", "*", "office"] in _masked(_field)
}

test_a_restricted_field_goes_where_its_class_is_cleared_and_a_payload_without_it_passes if {
	_places(requests.changed(_field, "/facts/connectors/1/data_classes", ["restricted"])) == set()
	_places(requests.changed(_field, "/resource/payload", {"count": 1})) == set()
}

test_an_answer_to_the_app_is_masked_not_refused if {
	answer := requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/cvv", "entity": "CARD_SECURITY_CODE"}])
	_places(answer) == set()
	_pointers(answer) == set()
	["cvv"] in _masked(answer)
}

test_no_facts_name_nothing_to_refuse if {
	_places(requests.without(requests.data_flow, "/facts")) == set()
	_pointers(requests.without(requests.data_flow, "/facts")) == set()
}
