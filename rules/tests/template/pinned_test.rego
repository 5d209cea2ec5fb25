package tests.template.pinned_test

import data.platform.rules.template.pinned
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in pinned.deny} with input as request
}

test_a_published_version_passes if {
	_places(requests.deploy) == set()
}

test_latest_is_no_version if {
	_places(requests.changed(requests.deploy, "/app/template/version", "latest")) == {["app", "template", "version"], ["app", "template", "name"]}
}

test_a_range_is_no_version if {
	_places(requests.changed(requests.deploy, "/app/template/version", "^1.2")) == {["app", "template", "version"], ["app", "template", "name"]}
}

test_a_version_that_was_not_published_is_refused if {
	_places(requests.changed(requests.deploy, "/app/template/version", "1.3.0")) == {["app", "template", "name"]}
}

test_a_version_that_is_no_text_is_refused if {
	_places(requests.changed(requests.deploy, "/app/template/version", 1.2)) == {["app", "template", "version"], ["app", "template", "name"]}
}

test_a_template_that_is_withdrawn_is_refused if {
	_places(requests.changed(requests.deploy, "/facts/template/state", "retired")) == {["app", "template", "name"]}
}

test_a_missing_template_is_refused if {
	_places(requests.without(requests.deploy, "/app/template")) == {["app", "template", "version"], ["app", "template", "name"]}
}

test_no_facts_means_no_template_is_published if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "template", "name"]}
}

test_facts_about_an_unknown_template_do_not_count if {
	_places(requests.changed(requests.deploy, "/facts/template/known", false)) == {["app", "template", "name"]}
}

test_facts_about_another_template_do_not_count if {
	_places(requests.changed(requests.deploy, "/facts/template/name", "forms")) == {["app", "template", "name"]}
}
