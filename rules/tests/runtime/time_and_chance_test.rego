package tests.runtime.time_and_chance_test

import data.platform.rules.runtime.time_and_chance
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in time_and_chance.deny} with input as request
}

_asking(member, value) := requests.extended(requests.deploy, sprintf("/app/runtime/%s", [member]), value)

test_an_app_that_asks_for_nothing_passes if {
	_places(requests.deploy) == set()
}

test_a_module_may_have_any_of_them if {
	_places(_asking("clock", "fixed")) == set()
	_places(_asking("clock", "coarse")) == set()
	_places(_asking("randomness", "seeded")) == set()
}

test_what_nobody_knows_is_refused if {
	_places(_asking("clock", "2001-01-01T00:00:00Z")) == {["app", "runtime", "clock"]}
	_places(_asking("clock", ["real"])) == {["app", "runtime", "clock"]}
	_places(_asking("randomness", "none")) == {["app", "runtime", "randomness"]}
}

test_a_machine_of_its_own_has_its_own_clock if {
	_places(requests.changed(_asking("clock", "fixed"), "/app/runtime/class", "microvm")) == {["app", "runtime", "clock"]}
}

test_a_class_that_nobody_knows_gives_none if {
	_places(requests.changed(_asking("clock", "real"), "/app/runtime/class", "bare-metal")) == {["app", "runtime", "clock"]}
}

test_without_an_app_there_is_nothing_to_judge if {
	_places(requests.without(requests.deploy, "/app")) == set()
}
