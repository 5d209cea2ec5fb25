package tests.request.schema_test

import data.platform.rules.request.schema
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in schema.deny} with input as request
}

test_a_document_without_errors_passes if {
	_places(requests.deploy) == set()
}

test_an_error_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/facts/schema_errors", [{"pointer": "/spec/runtime", "message": "class is missing"}])
	_places(request) == {["resource", "spec", "runtime"]}
}

test_an_error_without_details_is_refused if {
	_places(requests.changed(requests.publish, "/facts/schema_errors", [{}])) == {["resource"]}
}

test_a_document_that_nobody_checked_is_refused if {
	_places(requests.without(requests.deploy, "/facts/schema_errors")) == {["resource"]}
}

test_no_facts_are_refused if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource"]}
}
