package tests.template.described_test

import data.platform.rules.template.described
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in described.deny} with input as request
}

test_a_described_template_passes if {
	_places(requests.template) == set()
}

test_a_missing_summary_is_refused if {
	_places(requests.without(requests.template, "/app/summary")) == {["app", "summary"]}
}

test_blanks_describe_nothing if {
	_places(requests.changed(requests.template, "/app/title", " ")) == {["app", "title"]}
}

test_an_owner_that_is_no_text_is_none if {
	_places(requests.changed(requests.template, "/app/owner", [])) == {["app", "owner"]}
}

test_a_range_is_no_version if {
	request := requests.changed(requests.template, "/resource/metadata/version", "1.x")
	_places(request) == {["resource", "metadata", "version"]}
}

test_a_missing_version_is_refused if {
	_places(requests.without(requests.template, "/resource/metadata")) == {["resource", "metadata", "version"]}
}

test_a_version_that_is_no_text_is_refused if {
	_places(requests.changed(requests.template, "/resource/metadata/version", 1.2)) == {["resource", "metadata", "version"]}
}

test_facts_change_nothing_about_a_description if {
	_places(requests.without(requests.template, "/facts")) == set()
}
