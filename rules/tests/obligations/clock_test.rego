package tests.obligations.clock_test

import data.platform.obligations.clock
import data.tests.lib.requests

_values(request) := values if {
	values := clock.oblige with input as request
}

_asking(value) := requests.extended(requests.deploy, "/app/runtime/clock", value)

test_who_asks_for_none_gets_the_real_one if {
	_values(requests.deploy) == {"real"}
}

test_what_the_manifest_asks_for_is_named if {
	_values(_asking("coarse")) == {"coarse"}
}

test_a_fixed_clock_is_named_by_its_instant if {
	_values(_asking("fixed")) == {"2000-01-01T00:00:00Z"}
}

test_what_nobody_knows_is_not_named if {
	_values(_asking("other")) == set()
}

test_what_the_class_cannot_give_is_not_named if {
	_values(requests.changed(_asking("coarse"), "/app/runtime/class", "container")) == set()
}

test_without_an_app_there_is_none if {
	_values(requests.without(requests.deploy, "/app")) == set()
}
