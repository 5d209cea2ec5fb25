package tests.data.scannable_content_test

import data.platform.rules.data.scannable_content
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in scannable_content.deny} with input as request
}

test_JSON_passes if {
	_places(requests.data_flow) == set()
}

test_a_parameter_and_capitals_do_no_harm if {
	request := requests.changed(requests.data_flow, "/resource/content_type", "Text/CSV; charset=utf-8")
	_places(request) == set()
}

test_an_archive_is_refused if {
	request := requests.changed(requests.data_flow, "/resource/content_type", "application/zip")
	_places(request) == {["resource", "content_type"]}
}

test_a_missing_type_is_refused if {
	_places(requests.without(requests.data_flow, "/resource/content_type")) == {["resource", "content_type"]}
}

test_a_type_that_is_no_text_is_refused if {
	_places(requests.changed(requests.data_flow, "/resource/content_type", null)) == {["resource", "content_type"]}
}

test_facts_change_nothing_about_a_type if {
	_places(requests.without(requests.data_flow, "/facts")) == set()
}
