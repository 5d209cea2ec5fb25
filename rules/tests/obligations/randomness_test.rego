package tests.obligations.randomness_test

import data.platform.obligations.randomness
import data.tests.lib.requests

_values(request) := values if {
	values := randomness.oblige with input as request
}

_asking(value) := requests.extended(requests.deploy, "/app/runtime/randomness", value)

test_who_asks_for_none_gets_the_real_one if {
	_values(requests.deploy) == {"real"}
}

test_what_the_manifest_asks_for_is_named if {
	_values(_asking("seeded")) == {"seeded"}
}

test_what_nobody_knows_is_not_named if {
	_values(_asking("other")) == set()
}

test_what_the_class_cannot_give_is_not_named if {
	_values(requests.changed(_asking("seeded"), "/app/runtime/class", "container")) == set()
}

test_without_an_app_there_is_none if {
	_values(requests.without(requests.deploy, "/app")) == set()
}
