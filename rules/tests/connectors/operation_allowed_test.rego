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

_at(path) := requests.changed(requests.without(requests.connector_call, "/resource/operation"), "/facts/url/path", path)

test_a_parameter_takes_one_whole_segment if {
	_places(_at("/scim/v2/Users/42")) == set()
	_places(_at("/v1/employees/ada@example.com/card")) == set()
}

test_a_path_below_a_template_or_short_of_it_is_refused if {
	every path in [
		"/scim/v2/Users/", "/scim/v2/Users/42/", "/scim/v2/Users/42/groups", "//scim/v2/Users/42", "/scim/v2/Users//42",
		"/v1/employees//card", "/v1/employees/42/cards", "/v1/employees/4/2/card", "", "/",
	] {
		_places(_at(path)) == {["resource", "method"]}
	}
}

test_a_parameter_holds_no_functions_matrix_parameters_or_wildcards if {
	every value in ["42:export", "42;admin=true", "delta()", "*", "$count", "a,b", "{id}"] {
		_places(_at(concat("", ["/scim/v2/Users/", value]))) == {["resource", "method"]}
	}
}

test_a_reserved_word_is_no_parameter if {
	_places(_at("/scim/v2/Users/export")) == {["resource", "method"]}
}

test_the_named_operation_is_the_one_that_has_to_match if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/scim/v2/Users/42")
	_places(request) == {["resource", "method"]}
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
