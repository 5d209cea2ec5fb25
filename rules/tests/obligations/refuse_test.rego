package tests.obligations.refuse_test

import data.platform.obligations.refuse
import data.tests.lib.requests

_values(request) := values if {
	values := refuse.oblige with input as request
}

test_what_is_refused_is_named_with_class_and_kind if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload", "entity": "CARD_SECURITY_CODE", "span": [3, 6]}])
	_values(request) == {{"pointer": [], "class": "financial", "entity": "CARD_SECURITY_CODE", "span": [3, 6]}}
}

test_a_kind_that_is_masked_is_not_refused if {
	_values(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/x", "entity": "PERSON"}])) == set()
}

test_no_facts_mean_nothing_to_do if {
	_values(requests.without(requests.data_flow, "/facts")) == set()
}
