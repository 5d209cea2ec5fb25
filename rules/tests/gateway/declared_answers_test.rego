package tests.gateway.declared_answers_test

import data.platform.rules.gateway.declared_answers
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared_answers.deny} with input as request
}

_messages(request) := messages if {
	messages := {v.message | some v in declared_answers.deny} with input as request
}

_refused := {["resource", "body"]}

_answering(status, body) := requests.changed(requests.changed(requests.app_answer, "/resource/status", status), "/resource/body", body)

_silent(status) := requests.without(requests.changed(requests.app_answer, "/resource/status", status), "/resource/body")

_with_schema(schema) := requests.changed(requests.app_answer, "/app/api/0/answers", {"200": schema})

test_a_declared_answer_passes if {
	_places(requests.app_answer) == set()
}

test_an_app_that_declares_nothing_answers_anything if {
	_places(requests.without(requests.app_answer, "/app/api")) == set()
	_places(requests.without(requests.app_answer, "/app/api/0/answers")) == set()
}

_accepted := "/facts/api/accepted"

_by(status) := {"index": 0, "part": "answers", "status": status}

test_a_body_that_its_schema_does_not_accept_is_held_back if {
	every accepted in [
		[], [_by("4XX")], [_by("default")], [_by(200)], [object.union(_by("200"), {"index": 1})],
		[object.union(_by("200"), {"part": "body"})], [{"index": 0, "part": "answers"}], "200", null, {},
	] {
		_places(requests.changed(requests.app_answer, _accepted, accepted)) == _refused
	}
}

test_what_is_no_document_is_held_back_whoever_accepts_it if {
	every body in ["a", null, 7, false] {
		_places(_answering(200, body)) == _refused
	}
}

test_a_body_that_nobody_held_against_this_deploy_s_schema_is_held_back if {
	_places(requests.without(requests.app_answer, "/facts")) == _refused
	_places(requests.without(requests.app_answer, "/facts/api")) == _refused
	_places(requests.without(requests.app_answer, "/facts/app")) == _refused
	_places(requests.changed(requests.app_answer, "/facts/app/digest", "sha256:d2")) == _refused
	_places(requests.changed(requests.app_answer, "/facts/api/digest", null)) == _refused
	neither := requests.without(requests.without(requests.app_answer, "/facts/app/digest"), "/facts/api/digest")
	_places(neither) == _refused
}

test_a_status_that_is_not_declared_is_held_back if {
	every status in [201, 301, 500, 0, null, "200", {}] {
		_places(_answering(status, {"places": []})) == _refused
	}
	_places(requests.without(requests.app_answer, "/resource/status")) == _refused
}

test_a_status_counts_before_its_hundred_and_that_before_the_rest if {
	_places(_answering(404, {"code": "not_found"})) == set()
	_places(_answering(404, "not found")) == _refused
	both := requests.extended(requests.app_answer, "/app/api/0/answers/404", {"type": "object", "maxProperties": 0})
	_places(requests.changed(both, "/resource/status", 404)) == _refused
	rest := requests.extended(requests.app_answer, "/app/api/0/answers/default", {"type": "object"})
	_places(requests.changed(rest, "/resource/status", 500)) == _refused
	_places(requests.changed(requests.changed(rest, "/resource/status", 500), _accepted, [_by("default")])) == set()
}

test_where_no_body_is_declared_there_is_none if {
	_places(_silent(204)) == set()
	_places(_answering(204, {})) == _refused
	_places(_answering(204, null)) == _refused
	_places(_silent(200)) == _refused
}

test_what_nobody_could_read_is_held_back_and_says_why if {
	every request in [requests.app_answer, _silent(204)] {
		unread := requests.extended(request, "/resource/unreadable", "not UTF-8")
		_places(unread) == _refused
		some message in _messages(unread)
		contains(message, "not UTF-8")
	}
}

test_a_list_is_a_document_too if {
	_places(_answering(200, ["a", "b"])) == set()
}

test_a_schema_that_is_none_accepts_nothing if {
	every schema in ["anything", 7, true, []] {
		_places(_with_schema(schema)) == _refused
	}
	_places(requests.changed(requests.app_answer, "/app/api/0/answers", "any")) == _refused
	_places(requests.changed(requests.app_answer, "/app/api/0/answers", {})) == _refused
}

test_an_answer_to_a_call_that_is_not_declared_is_held_back if {
	_places(requests.changed(requests.app_answer, "/resource/path", "/other")) == {["resource", "path"]}
	_places(requests.changed(requests.app_answer, "/resource/method", "GET")) == {["resource", "path"]}
	_places(requests.changed(requests.app_answer, "/app/api", [])) == {["resource", "path"]}
}

test_where_several_calls_fit_each_has_to_allow if {
	both := requests.extended(requests.app_answer, "/app/api/-", {"method": "POST", "path": "/{any}", "answers": {"200": null}})
	_places(both) == _refused
}

test_without_its_parts_it_is_no_declared_answer if {
	_places(requests.without(requests.app_answer, "/resource")) == {["resource", "path"]}
}
