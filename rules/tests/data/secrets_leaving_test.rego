package tests.data.secrets_leaving_test

import data.platform.rules.data.secrets_leaving
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in secrets_leaving.deny} with input as request
}

test_a_flow_without_secrets_passes if {
	_places(requests.data_flow) == set()
}

test_a_call_without_secrets_passes if {
	_places(requests.connector_call) == set()
}

test_a_secret_in_a_payload_is_named_with_its_path if {
	request := requests.changed(requests.data_flow, "/facts/secrets", [{"pointer": "/payload/token", "entity": "API_KEY"}])
	_places(request) == {["resource", "payload", "token"]}
}

test_a_finding_without_a_place_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/secrets", [{}])) == {["resource"]}
}

test_no_answer_from_the_scanner_is_refused if {
	_places(requests.without(requests.data_flow, "/facts/secrets")) == {["resource"]}
}

test_no_facts_are_refused if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource"]}
}

test_a_credential_in_a_header_that_is_taken_off_does_not_leave if {
	found := [{"pointer": "/headers/Authorization", "entity": "NAMED_SECRET"}]
	_places(requests.changed(requests.connector_call, "/facts/secrets", found)) == set()
}

test_in_any_other_header_it_leaves if {
	found := [{"pointer": "/headers/x-token", "entity": "NAMED_SECRET"}]
	_places(requests.changed(requests.connector_call, "/facts/secrets", found)) == {["resource", "headers", "x-token"]}
}

test_a_member_of_the_body_that_is_called_like_a_header_leaves if {
	found := [{"pointer": "/body/authorization", "entity": "NAMED_SECRET"}]
	_places(requests.changed(requests.connector_call, "/facts/secrets", found)) == {["resource", "body", "authorization"]}
}

test_nothing_is_taken_off_a_flow if {
	found := [{"pointer": "/headers/authorization", "entity": "NAMED_SECRET"}]
	_places(requests.changed(requests.data_flow, "/facts/secrets", found)) == {["resource", "headers", "authorization"]}
}
