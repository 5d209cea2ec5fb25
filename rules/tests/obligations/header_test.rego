package tests.obligations.header_test

import data.platform.obligations.header
import data.tests.lib.requests

_values(request) := values if {
	values := header.oblige with input as request
}

test_ordinary_headers_pass if {
	_values(requests.connector_call) == set()
}

test_a_credential_of_the_app_s_own_is_dropped if {
	request := requests.extended(requests.connector_call, "/resource/headers/Authorization", "Bearer x")
	_values(request) == {{"op": "remove", "name": "Authorization"}}
}

test_a_forged_host_is_dropped if {
	request := requests.extended(requests.connector_call, "/resource/headers/Host", "internal")
	_values(request) == {{"op": "remove", "name": "Host"}}
}

test_headers_that_are_no_object_drop_nothing if {
	request := requests.changed(requests.connector_call, "/resource/headers", ["Authorization"])
	_values(request) == set()
}

_exposed := [{"pointer": "/headers/etag", "entity": "EMAIL_ADDRESS"}]

test_a_header_of_an_answer_that_holds_personal_data_is_left_out if {
	_values(requests.changed(requests.answer, "/facts/pii", _exposed)) == {{"op": "remove", "name": "etag"}}
	_values(requests.answer) == set()
}

test_a_flow_that_is_no_answer_has_no_headers_to_leave_out if {
	_values(requests.changed(requests.data_flow, "/facts/pii", _exposed)) == set()
	_values(requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/0", "entity": "EMAIL_ADDRESS"}])) == set()
}
