package tests.obligations.operation_test

import data.platform.obligations.operation
import data.tests.lib.requests

_values(request) := values if {
	values := operation.oblige with input as request
}

_call := requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"})

test_another_door_has_nothing_to_do if {
	_values(requests.connector_call) == set()
}

test_a_call_is_the_operation_it_matches if {
	_values(_call) == {{"name": "list employees", "cost_microeur": 200, "stream": ""}}
}

test_what_streams_says_so if {
	request := requests.extended(_call, "/facts/connectors/0/operations/0/stream", "ndjson")
	{value.stream | some value in _values(request)} == {"ndjson"}
}

test_a_call_that_is_none_is_none if {
	_values(requests.changed(_call, "/resource/method", "DELETE")) == set()
	_values(requests.data_flow) == set()
}
