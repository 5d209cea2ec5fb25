package tests.template.unchanged_test

import data.platform.rules.template.unchanged
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in unchanged.deny} with input as request
}

_version := {["resource", "metadata", "version"]}

_published(spec) := requests.changed(requests.template, "/facts/template", {
	"known": true,
	"name": "recommendations",
	"version": "1.2.0",
	"state": "published",
	"spec": spec,
	"publisher": {"known": true, "tenant": "marketing"},
})

_spec := object.remove(requests.template.app, ["name"])

test_a_new_version_passes if {
	_places(requests.template) == set()
}

test_the_same_words_again_pass if {
	_places(_published(_spec)) == set()
}

test_other_words_under_a_published_version_are_refused if {
	_places(_published(object.union(_spec, {"summary": "Something else."}))) == _version
}

test_a_connector_more_is_refused if {
	_places(_published(object.union(_spec, {"connectors": [{"name": "hris"}]}))) == _version
}

test_facts_about_another_version_say_nothing if {
	_places(requests.changed(requests.template, "/facts/template/version", "1.1.0")) == _version
}

test_facts_about_another_template_say_nothing if {
	_places(requests.changed(requests.template, "/facts/template/name", "lunch")) == _version
}

test_words_are_no_proof_that_a_version_is_free if {
	_places(requests.changed(requests.template, "/facts/template/known", "no")) == _version
}

test_words_are_no_proof_that_it_was_published if {
	_places(requests.changed(_published(_spec), "/facts/template/known", "yes")) == _version
}

test_no_facts_means_nothing_is_new if {
	_places(requests.without(requests.template, "/facts")) == _version
}
