package tests.secrets.by_name_test

import data.platform.rules.secrets.by_name
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in by_name.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in by_name.deny} with input as request
}

test_a_named_secret_passes if {
	_places(requests.deploy) == set()
}

test_a_value_is_refused_and_removed if {
	request := requests.extended(requests.deploy, "/app/secrets/0/value", "not-a-real-one")
	_places(request) == {["app", "secrets", 0, "value"]}
	_fixes(request) == {[{"op": "remove", "path": ["app", "secrets", 0, "value"]}]}
}

test_a_secret_without_a_name_is_refused if {
	_places(requests.without(requests.template, "/app/secrets/0/name")) == {["app", "secrets", 0, "name"]}
}

test_an_app_without_secrets_passes if {
	_places(requests.without(requests.deploy, "/app/secrets")) == set()
}

test_a_secret_in_words_has_no_name if {
	_places(requests.changed(requests.deploy, "/app/secrets", ["recommender-key"])) == {["app", "secrets", 0, "name"]}
}

test_facts_change_nothing_about_how_a_secret_is_named if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
