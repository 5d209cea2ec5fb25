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
