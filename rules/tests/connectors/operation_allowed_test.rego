package tests.connectors.operation_allowed_test

import data.platform.rules.connectors.operation_allowed
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in operation_allowed.deny} with input as request
}

test_a_registered_operation_with_its_scope_passes if {
	_places(requests.connector_call) == set()
}

test_another_method_is_refused if {
	request := requests.changed(requests.connector_call, "/resource/method", "DELETE")
	_places(request) == {["resource", "method"]}
}

test_another_path_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/v1/salaries")
	_places(request) == {["resource", "method"]}
}

test_a_path_that_only_begins_alike_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/scim/v2/Users-archive")
	_places(request) == {["resource", "method"]}
}

test_a_path_below_the_registered_one_passes if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/scim/v2/Users/42")
	_places(request) == set()
}

test_an_unknown_operation_is_refused if {
	request := requests.changed(requests.connector_call, "/resource/operation", "delete employees")
	_places(request) == {["resource", "method"]}
}

test_a_call_without_its_scope_is_refused if {
	_places(requests.changed(requests.connector_call, "/resource/scopes", [])) == {["resource", "method"]}
}

test_an_unnamed_operation_passes_where_method_and_path_match_one if {
	_places(requests.without(requests.connector_call, "/resource/operation")) == set()
}

test_no_facts_means_no_operation_is_registered if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource", "method"]}
}

test_a_path_that_is_no_text_matches_nothing if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/operations/0/paths", [7])
	_places(request) == {["resource", "method"]}
}
