package tests.gateway.declared_calls_test

import data.platform.rules.gateway.declared_calls
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared_calls.deny} with input as request
}

_suggest := {
	"method": "POST",
	"path": "/suggest",
	"body": {
		"type": "object",
		"properties": {"group": {"type": "string", "pattern": "^[a-z-]{1,40}$"}},
		"required": ["group"],
		"additionalProperties": false,
	},
}

_visit := {"method": "GET", "path": "/visits/{id}", "query": {"type": "object", "properties": {"day": {"type": "string"}}}}

_declaring := _accepting(requests.extended(requests.app_call, "/app/api", [_suggest, _visit]), [
	{"index": 0, "part": "body"},
	{"index": 1, "part": "query"},
])

# What was found out about the schemas of the deploy that is in force.
_accepting(request, accepted) := looked_at if {
	deployed := requests.extended(request, "/facts/app/digest", "sha256:d1")
	looked_at := requests.extended(deployed, "/facts/api", {"digest": "sha256:d1", "accepted": accepted})
}

_asking(method, path) := request if {
	moved := requests.changed(_declaring, "/resource/path", path)
	request := requests.without(requests.changed(moved, "/resource/method", method), "/resource/body")
}

test_an_app_that_declares_nothing_takes_anything if {
	_places(requests.app_call) == set()
}

test_a_declared_call_passes if {
	_places(_declaring) == set()
}

test_another_path_or_method_is_refused if {
	_places(requests.changed(_declaring, "/resource/path", "/suggest/more")) == {["resource", "path"]}
	_places(requests.changed(_declaring, "/resource/path", "/other")) == {["resource", "path"]}
	_places(requests.changed(_declaring, "/resource/method", "DELETE")) == {["resource", "path"]}
}

test_an_empty_list_takes_no_call if {
	_places(requests.extended(requests.app_call, "/app/api", [])) == {["resource", "path"]}
	_places(requests.extended(requests.app_call, "/app/api", "any")) == {["resource", "path"]}
}

test_a_body_that_its_schema_does_not_accept_is_refused if {
	_places(requests.changed(_declaring, "/facts/api/accepted", [])) == {["resource", "body"]}
	_places(requests.changed(_declaring, "/facts/api/accepted", [{"index": 1, "part": "body"}, {"index": 0, "part": "query"}])) == {["resource", "body"]}
	_places(requests.without(_declaring, "/resource/body")) == {["resource", "body"]}
}

test_what_is_no_object_is_refused_whatever_was_found_out if {
	every body in [["group"], "campaigns", null, 7] {
		_places(requests.changed(_declaring, "/resource/body", body)) == {["resource", "body"]}
	}
}

test_nobody_looked_at_it_is_a_no if {
	_places(requests.without(_declaring, "/facts/api")) == {["resource", "body"]}
	_places(requests.changed(_declaring, "/facts/api/accepted", "all")) == {["resource", "body"]}
	_places(requests.without(_declaring, "/facts")) == {["resource", "body"]}
}

test_what_was_found_out_about_another_deploy_does_not_count if {
	_places(requests.changed(_declaring, "/facts/api/digest", "sha256:d0")) == {["resource", "body"]}
	_places(requests.without(_declaring, "/facts/app/digest")) == {["resource", "body"]}
	both := requests.changed(requests.changed(_declaring, "/facts/api/digest", null), "/facts/app/digest", null)
	_places(both) == {["resource", "body"]}
}

test_a_query_that_nobody_declared_is_refused if {
	_places(requests.changed(_declaring, "/resource/query", {"day": "1"})) == {["resource", "query"]}
}

test_a_segment_in_braces_is_any_but_none if {
	_places(_asking("GET", "/visits/7")) == set()
	_places(_asking("GET", "/{id}/7")) == {["resource", "path"]}
	_places(_asking("GET", "/visits/")) == {["resource", "path"]}
	_places(_asking("GET", "/visits/7/8")) == {["resource", "path"]}
}

test_a_body_where_none_is_declared_is_refused if {
	moved := requests.changed(requests.changed(_declaring, "/resource/path", "/visits/7"), "/resource/method", "GET")
	_places(moved) == {["resource", "body"]}
	_places(requests.changed(moved, "/resource/body", {})) == {["resource", "body"]}
}

test_an_entry_that_is_no_object_is_no_call if {
	odd := requests.changed(requests.changed(_declaring, "/resource/method", ""), "/resource/path", "")
	_places(requests.changed(odd, "/app/api", ["", 7, null, []])) == {["resource", "path"]}
}

test_a_schema_that_is_none_accepts_nothing if {
	broken := requests.changed(_declaring, "/app/api", [{"method": "POST", "path": "/suggest", "body": "anything"}])
	_places(broken) == {["resource", "body"]}
}

test_where_several_calls_fit_each_has_to_accept if {
	both := requests.extended(_declaring, "/app/api/-", {"method": "POST", "path": "/{any}"})
	_places(both) == {["resource", "body"]}
}

test_a_request_without_its_parts_is_no_declared_call if {
	_places(requests.without(_declaring, "/resource")) == {["resource", "path"]}
}
