package tests.template.owner_test

import data.platform.rules.template.owner
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in owner.deny} with input as request
}

_published_by(tenant) := requests.changed(_of_marketing, "/facts/template/publisher", {"known": true, "tenant": tenant})

_of_marketing := requests.extended(requests.template, "/facts/tenant", {"known": true, "name": "marketing"})

_of_platform := requests.changed(_of_marketing, "/tenant", "")

test_a_free_name_passes if {
	_places(_of_marketing) == set()
}

test_the_platform_publishes_under_a_free_name if {
	_places(_of_platform) == set()
}

test_a_tenant_s_own_template_passes if {
	_places(_published_by("marketing")) == set()
}

test_the_template_of_another_tenant_is_refused if {
	_places(_published_by("hr")) == {["app", "name"]}
}

test_a_template_of_the_platform_is_no_tenant_s if {
	_places(_published_by("")) == {["app", "name"]}
}

test_a_template_of_a_tenant_is_not_the_platform_s if {
	_places(requests.changed(_published_by("marketing"), "/tenant", "")) == {["app", "name"]}
}

test_the_platform_s_own_template_is_its if {
	_places(requests.changed(_published_by(""), "/tenant", "")) == set()
}

test_what_is_published_word_for_word_takes_nothing_from_anybody if {
	spec := object.remove(requests.template.app, ["name"])
	known := object.union(_published_by("hr").facts.template, {"known": true, "spec": spec})
	_places(requests.changed(_published_by("hr"), "/facts/template", known)) == set()
}

test_a_tenant_that_is_not_registered_is_refused if {
	_places(requests.changed(_of_marketing, "/facts/tenant/known", false)) == {["tenant"]}
}

test_facts_about_another_tenant_are_not_about_this_one if {
	_places(requests.changed(_of_marketing, "/facts/tenant/name", "hr")) == {["tenant"]}
}

test_words_are_no_proof_that_a_name_is_free if {
	_places(requests.changed(_of_marketing, "/facts/template/publisher", {"known": "no"})) == {["app", "name"]}
}

test_words_are_no_proof_of_who_published if {
	request := requests.changed(_published_by("marketing"), "/facts/template/publisher/known", "yes")
	_places(request) == {["app", "name"]}
}

test_words_are_no_proof_of_a_tenant if {
	_places(requests.changed(_of_marketing, "/facts/tenant/known", "yes")) == {["tenant"]}
}

test_no_facts_means_no_name_is_free_and_no_tenant_is_known if {
	_places(requests.without(requests.template, "/facts")) == {["app", "name"], ["tenant"]}
}
