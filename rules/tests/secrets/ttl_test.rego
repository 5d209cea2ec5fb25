package tests.secrets.ttl_test

import data.platform.rules.secrets.ttl
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in ttl.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in ttl.deny} with input as request
}

test_a_quarter_of_an_hour_passes if {
	_places(requests.deploy) == set()
}

test_a_month_is_refused_and_an_hour_proposed if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/ttl", "PT768H")) == {["app", "secrets", 0, "ttl"]}
	_fixes(requests.changed(requests.deploy, "/app/secrets/0/ttl", "PT768H")) == {[{"op": "add", "path": ["app", "secrets", 0, "ttl"], "value": "PT1H"}]}
}

test_an_hour_passes if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/ttl", "PT60M")) == set()
}

test_a_second_more_does_not if {
	_places(requests.changed(requests.template, "/app/secrets/0/ttl", "PT3601S")) == {["app", "secrets", 0, "ttl"]}
}

test_a_missing_time_to_live_is_refused if {
	_places(requests.without(requests.deploy, "/app/secrets/0/ttl")) == {["app", "secrets", 0, "ttl"]}
}

test_words_are_no_time_to_live if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/ttl", "1h")) == {["app", "secrets", 0, "ttl"]}
}

test_facts_change_nothing_about_a_time_to_live if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
