package tests.secrets.rotation_test

import data.platform.rules.secrets.rotation
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in rotation.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in rotation.deny} with input as request
}

test_thirty_days_pass if {
	_places(requests.deploy) == set()
}

test_a_year_is_refused_and_thirty_days_proposed if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/rotation", "P1Y")) == {["app", "secrets", 0, "rotation"]}
	_fixes(requests.changed(requests.deploy, "/app/secrets/0/rotation", "P1Y")) == {[{"op": "add", "path": ["app", "secrets", 0, "rotation"], "value": "P30D"}]}
}

test_a_second_more_is_refused if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/rotation", "P30DT1S")) == {["app", "secrets", 0, "rotation"]}
}

test_a_missing_rotation_is_refused if {
	_places(requests.without(requests.template, "/app/secrets/0/rotation")) == {["app", "secrets", 0, "rotation"]}
}

test_never_is_no_rotation if {
	_places(requests.changed(requests.deploy, "/app/secrets/0/rotation", "never")) == {["app", "secrets", 0, "rotation"]}
}

test_facts_change_nothing_about_rotation if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
