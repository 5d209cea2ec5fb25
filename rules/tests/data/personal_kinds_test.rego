package tests.data.personal_kinds_test

import data.platform.rules.data.personal_kinds
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in personal_kinds.deny} with input as request
}

test_named_kinds_pass if {
	_places(requests.deploy) == set()
}

test_people_s_data_without_kinds_is_refused if {
	_places(requests.without(requests.deploy, "/app/data/pii")) == {["app", "data", "pii"]}
}

test_an_unknown_kind_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/app/data/pii", ["dietary_preference", "shoe_size"])
	_places(request) == {["app", "data", "pii", 1]}
}

test_a_kind_of_a_class_that_is_not_declared_is_refused if {
	_places(requests.changed(requests.template, "/app/data/pii", ["salary"])) == {["app", "data", "pii", 0]}
}

test_an_app_without_people_s_data_needs_no_kinds if {
	request := requests.changed(requests.deploy, "/app/data", {"classes": ["internal"]})
	_places(request) == set()
}

test_without_an_app_there_is_nothing_to_name if {
	_places(requests.without(requests.deploy, "/app")) == set()
}
