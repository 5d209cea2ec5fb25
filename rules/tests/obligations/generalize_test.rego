package tests.obligations.generalize_test

import data.platform.obligations.generalize
import data.tests.lib.requests

_values(request) := values if {
	values := generalize.oblige with input as request with data.platform.flows.methods as {"PERSON": "generalize"}
}

_found(entity) := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/who", "entity": entity, "score": 0.9}])

test_a_kind_with_this_method_is_named_with_its_place if {
	_values(_found("PERSON")) == {{"pointer": ["who"], "class": "personal", "entity": "PERSON"}}
}

test_the_part_of_a_text_is_named if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload", "entity": "PERSON", "span": [3, 9]}])
	_values(request) == {{"pointer": [], "class": "personal", "entity": "PERSON", "span": [3, 9]}}
}

test_a_kind_with_another_method_is_not if {
	_values(_found("EMAIL_ADDRESS")) == set()
}

test_a_cleared_destination_gets_it_plain if {
	_values(requests.changed(_found("PERSON"), "/facts/connectors/1/data_classes", ["personal"])) == set()
}

test_no_facts_mean_nothing_to_do if {
	_values(requests.without(requests.data_flow, "/facts")) == set()
}
