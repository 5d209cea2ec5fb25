package tests.data.consent_test

import data.platform.rules.data.consent
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in consent.deny} with input as request
}

_flow(resource) := object.union(
	requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/diagnosis", "entity": "HEALTH"}]),
	{"resource": resource},
)

_purpose := requests.data_flow.resource.purpose

test_a_flow_without_special_data_needs_none if {
	_places(requests.data_flow) == set()
	_places(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/x", "entity": "PERSON"}])) == set()
}

test_special_data_without_consent_is_refused_at_its_place if {
	_places(_flow({})) == {["resource", "payload", "diagnosis"]}
}

test_a_consent_for_this_purpose_is_enough if {
	_places(_flow({"consent": {"reference": "7", "purposes": ["Other things.", _purpose]}})) == set()
}

test_a_consent_for_another_purpose_is_none if {
	_places(_flow({"consent": {"reference": "C-7", "purposes": ["Other things."]}})) == {["resource", "payload", "diagnosis"]}
}

test_a_consent_without_reference_is_none if {
	_places(_flow({"consent": {"reference": " ", "purposes": [_purpose]}})) == {["resource", "payload", "diagnosis"]}
	_places(_flow({"consent": {"purposes": [_purpose]}})) == {["resource", "payload", "diagnosis"]}
}

test_a_consent_of_the_wrong_shape_is_none if {
	_places(_flow({"consent": "yes"})) == {["resource", "payload", "diagnosis"]}
	_places(_flow({"consent": {"reference": "C-7", "purposes": _purpose}})) == {["resource", "payload", "diagnosis"]}
}

test_a_flow_without_purpose_has_no_consent_for_it if {
	request := requests.without(_flow({"consent": {"reference": "C-7", "purposes": [null, ""]}}), "/resource/purpose")
	_places(request) == {["resource", "payload", "diagnosis"]}
	_places(requests.changed(_flow({"consent": {"reference": "C-7", "purposes": [null]}}), "/resource/purpose", null)) == {["resource", "payload", "diagnosis"]}
}

test_no_facts_name_nothing_special if {
	_places(requests.without(requests.data_flow, "/facts")) == set()
}
