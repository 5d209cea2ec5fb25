package tests.connectors.shaped_test

import data.platform.rules.connectors.shaped
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in shaped.deny} with input as request
}

_wrong := [{"path": ["payload", "Resources", 0], "message": "has to be an object"}]

_unknown := [["resource"], "Nobody could say whether the operation \"list employees\" has the registered shape."]

_unsaid := [["resource"], "The answer does not say which operation of the connector it answers."]

_answer(context, shapes) := requests.extended(requests.changed(requests.answer, "/context", context), "/facts/shapes", shapes)

_good := {"enforcement_point": "broker", "operations": ["list employees"], "status": 200}

_posts := requests.changed(
	requests.connector_call,
	"/facts/connectors/0/operations/0/shaped", ["request"],
)

test_a_call_without_a_schema_passes if {
	_found(requests.connector_call) == set()
}

test_a_call_that_follows_its_schema_passes if {
	_found(requests.extended(_posts, "/facts/shapes", {"list employees": []})) == set()
}

test_a_call_that_does_not_is_refused_by_place if {
	wrong := [{"path": ["body", "to"], "message": "has to be a list"}]
	_found(requests.extended(_posts, "/facts/shapes", {"list employees": wrong})) == {[
		["resource", "body", "to"],
		"The operation \"list employees\": this has to be a list.",
	]}
}

test_a_call_that_nobody_looked_at_is_refused if {
	_found(_posts) == {_unknown}
	_found(requests.extended(_posts, "/facts/shapes", {"list employees": null})) == {_unknown}
}

test_an_answer_that_follows_its_schema_passes if {
	_found(_answer(_good, {"list employees": []})) == set()
}

test_an_answer_of_another_shape_is_refused_by_place if {
	_found(_answer(_good, {"list employees": _wrong})) == {[
		["resource", "payload", "Resources", 0],
		"The operation \"list employees\": this has to be an object.",
	]}
}

test_an_answer_that_nobody_looked_at_is_refused if {
	_found(_answer(_good, {})) == {_unknown}
	_found(requests.changed(requests.answer, "/context", _good)) == {_unknown}
}

test_an_error_of_the_vendor_has_a_shape_of_its_own if {
	_found(_answer(object.union(_good, {"status": 404}), {"list employees": _wrong})) == set()
	count(_found(_answer(object.union(_good, {"status": 399}), {"list employees": _wrong}))) == 1
	count(_found(_answer(object.union(_good, {"status": "404"}), {"list employees": _wrong}))) == 1
}

test_the_broker_says_which_operation_an_answer_is_of if {
	_found(_answer({"enforcement_point": "broker"}, {})) == {_unsaid}
	_found(_answer({"enforcement_point": "broker", "operations": ["no such"]}, {})) == {_unsaid}
	_found(requests.without(_answer(_good, {"list employees": []}), "/facts")) == {_unsaid}
}

test_a_flow_that_is_no_answer_has_no_operation if {
	_found(requests.data_flow) == set()
}

test_an_answer_without_a_schema_passes if {
	request := requests.changed(_answer(_good, {}), "/facts/connectors/0/operations/0/shaped", ["request"])
	_found(request) == set()
}

test_an_error_begins_at_400 if {
	_found(_answer(object.union(_good, {"status": 400}), {"list employees": _wrong})) == set()
}

test_a_call_is_no_answer_and_another_door_s_answer_needs_no_operation if {
	_found(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"})) == set()
	_found(requests.answer) == set()
}

_bodiless := {["resource", "body"]}

_body_of(request) := places if {
	asked := requests.extended(request, "/resource/body", "GET /v1/salaries")
	places := {v.path | some v in shaped.deny} with input as asked
}

test_a_body_that_the_method_does_not_have_is_refused if {
	every method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
		_body_of(requests.changed(requests.connector_call, "/resource/method", method)) == _bodiless
	}
	every method in ["POST", "PUT", "PATCH"] {
		_body_of(requests.changed(requests.connector_call, "/resource/method", method)) == set()
	}
}

test_a_body_that_the_registry_knows_of_is_taken if {
	_body_of(requests.extended(_posts, "/facts/shapes", {"list employees": []})) == set()
}

test_where_nobody_says_which_methods_have_a_body_none_has if {
	request := requests.extended(requests.changed(requests.connector_call, "/resource/method", "POST"), "/resource/body", "x")
	places := {v.path | some v in shaped.deny} with input as request with data.platform.egress as {}
	places == _bodiless
}
