package tests.data.classes_known_test

import data.platform.rules.data.classes_known
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in classes_known.deny} with input as request
}

test_known_classes_pass if {
	_places(requests.deploy) == set()
}

test_an_unknown_class_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/app/data/classes", ["internal", "secret"])
	_places(request) == {["app", "data", "classes", 1]}
}

test_no_classes_are_refused if {
	_places(requests.changed(requests.template, "/app/data/classes", [])) == {["app", "data", "classes"]}
}

test_missing_classes_are_refused if {
	_places(requests.without(requests.deploy, "/app/data/classes")) == {["app", "data", "classes"]}
}

test_facts_change_nothing_about_what_is_declared if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
