package tests.oauth.purpose_stated_test

import data.platform.rules.oauth.purpose_stated
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in purpose_stated.deny} with input as request
}

test_stated_purposes_pass if {
	_places(requests.deploy) == set()
}

test_a_missing_purpose_is_named_with_its_path if {
	_places(requests.without(requests.deploy, "/app/connectors/0/purpose")) == {["app", "connectors", 0, "purpose"]}
}

test_blanks_are_no_purpose if {
	request := requests.changed(requests.template, "/app/connectors/1/purpose", "                    ")
	_places(request) == {["app", "connectors", 1, "purpose"]}
}

test_a_purpose_of_twelve_characters_is_enough if {
	request := requests.changed(requests.deploy, "/app/connectors/0/purpose", "Lunch plans.")
	_places(request) == set()
}

test_a_purpose_that_is_no_text_is_none if {
	_places(requests.changed(requests.deploy, "/app/connectors/0/purpose", 7)) == {["app", "connectors", 0, "purpose"]}
}

test_facts_change_nothing_about_a_purpose if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
