package tests.oauth.scopes_present_test

import data.platform.rules.oauth.scopes_present
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in scopes_present.deny} with input as request
}

test_named_scopes_pass if {
	_places(requests.deploy) == set()
}

test_missing_scopes_are_named_with_their_path if {
	_places(requests.without(requests.deploy, "/app/connectors/0/scopes")) == {["app", "connectors", 0, "scopes"]}
}

test_an_empty_list_names_none if {
	_places(requests.changed(requests.template, "/app/connectors/1/scopes", [])) == {["app", "connectors", 1, "scopes"]}
}

test_a_scope_in_words_is_no_list if {
	request := requests.changed(requests.deploy, "/app/connectors/0/scopes", "employees:read")
	_places(request) == {["app", "connectors", 0, "scopes"]}
}

test_facts_change_nothing_about_what_is_named if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
