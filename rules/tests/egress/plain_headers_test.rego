package tests.egress.plain_headers_test

import data.platform.rules.egress.plain_headers
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in plain_headers.deny} with input as request
}

_with(name, value) := requests.changed(requests.connector_call, "/resource/headers", {name: value})

test_ordinary_headers_pass if {
	_places(requests.connector_call) == set()
	_places(requests.without(requests.connector_call, "/resource/headers")) == set()
	_places(_with("Prefer", "return=minimal; note=\"a ~ b\"")) == set()
}

test_a_forged_host_is_refused_however_it_is_written if {
	every name in ["Host", "host", "HOST", "X-Forwarded-Host", "Transfer-Encoding", "Content-Length", "X-HTTP-Method-Override"] {
		_places(_with(name, "x")) == {["resource", "headers"]}
	}
}

test_line_breaks_and_other_control_characters_are_refused if {
	every value in ["a\r\nHost: b", "a\nb", "a\u0000", "a\tb", "ä", "a\n"] {
		_places(_with("Accept", value)) == {["resource", "headers"]}
	}
	every name in ["Accept\r\nHost", "Accept:", "", ":authority", "Hos\u212a", "Accept\n", "X_Y"] {
		_places(_with(name, "x")) == {["resource", "headers"]}
	}
}

test_a_value_that_is_no_text_is_refused if {
	every value in [7, null, ["a"], {}, true] {
		_places(_with("Accept", value)) == {["resource", "headers"]}
	}
}

test_a_value_is_not_longer_than_it_may_be if {
	request := _with("Accept", "12345")
	places := {v.path | some v in plain_headers.deny} with input as request with data.platform.headers.longest_value as 4
	places == {["resource", "headers"]}
	others := {v.path | some v in plain_headers.deny} with input as request with data.platform.headers.longest_value as 5
	others == set()
}

test_headers_that_are_no_object_are_refused if {
	_places(requests.changed(requests.connector_call, "/resource/headers", ["Host"])) == {["resource", "headers"]}
	_places(requests.changed(requests.connector_call, "/resource/headers", null)) == {["resource", "headers"]}
}

test_no_facts_are_needed_to_refuse_a_header if {
	_places(requests.without(_with("Host", "x"), "/facts")) == {["resource", "headers"]}
}

test_a_header_that_stands_twice_is_refused_in_whatever_letters if {
	twice := requests.changed(requests.connector_call, "/resource/headers", {"Accept": "a", "accept": "b"})
	_places(twice) == {["resource", "headers"]}
	_places(requests.changed(requests.connector_call, "/resource/headers", {"Accept": "a", "Prefer": "b"})) == set()
}

_sent_as(content_type, body) := places if {
	request := requests.extended(_with("Content-Type", content_type), "/resource/body", body)
	places := _places(request)
}

test_a_json_value_is_sent_as_what_it_is if {
	every content_type in ["application/json", "Application/SCIM+JSON; charset=utf-8", "application/json;q=1"] {
		_sent_as(content_type, {"a": 1}) == set()
	}
	every content_type in ["application/x-www-form-urlencoded", "application/xml", "text/plain", "application/json, text/xml", "application/jsonp", ""] {
		_sent_as(content_type, {"a": 1}) == {["resource", "headers", "Content-Type"]}
		_sent_as(content_type, [1]) == {["resource", "headers", "Content-Type"]}
	}
}

test_a_text_is_sent_as_its_sender_says if {
	_sent_as("application/xml", "<a/>") == set()
	_sent_as("application/xml", null) == set()
}
