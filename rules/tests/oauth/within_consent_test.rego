package tests.oauth.within_consent_test

import data.platform.rules.oauth.within_consent
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in within_consent.deny} with input as request
}

test_granted_scopes_pass if {
	_places(requests.connector_call) == set()
}

test_a_scope_that_was_not_granted_is_named_with_its_path if {
	request := requests.changed(requests.connector_call, "/resource/scopes", ["employees:read", "employees:write"])
	_places(request) == {["resource", "scopes", 1]}
}

test_a_scope_granted_for_another_connector_does_not_count if {
	request := requests.changed(requests.connector_call, "/resource/scopes", ["recommendations:read"])
	_places(request) == {["resource", "scopes", 0]}
}

test_an_app_that_nobody_knows_was_granted_nothing if {
	_places(requests.without(requests.connector_call, "/app")) == {["resource", "scopes", 0]}
}

test_a_call_without_a_connector_was_granted_nothing if {
	_places(requests.without(requests.connector_call, "/resource/connector")) == {["resource", "scopes", 0]}
}
