package tests.request.app_named_test

import data.platform.rules.request.app_named
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in app_named.deny} with input as request
}

test_a_plain_name_passes if {
	_places(requests.deploy) == set()
}

test_capitals_and_blanks_are_refused if {
	_places(requests.changed(requests.deploy, "/app/name", "Where 2 Eat")) == {["app", "name"]}
}

test_a_name_that_climbs_is_refused if {
	_places(requests.changed(requests.template, "/app/name", "../where2eat")) == {["app", "name"]}
}

test_a_missing_name_is_refused if {
	_places(requests.without(requests.connector_call, "/app/name")) == {["app", "name"]}
}

test_a_name_that_is_no_text_is_refused if {
	_places(requests.changed(requests.deploy, "/app/name", 2)) == {["app", "name"]}
}

test_a_name_with_a_line_after_it_is_refused if {
	_places(requests.changed(requests.deploy, "/app/name", "where2eat\n")) == {["app", "name"]}
}

test_a_name_of_sixty_three_characters_passes if {
	request := requests.changed(requests.deploy, "/app/name", "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-012345678")
	_places(request) == set()
}

test_a_name_of_sixty_four_does_not if {
	request := requests.changed(requests.deploy, "/app/name", "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-0123456789")
	_places(request) == {["app", "name"]}
}

test_facts_change_nothing_about_a_name if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
