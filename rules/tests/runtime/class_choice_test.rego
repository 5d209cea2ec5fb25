package tests.runtime.class_choice_test

import data.platform.rules.runtime.class_choice
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in class_choice.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in class_choice.deny} with input as request
}

test_wasm_passes_for_people_s_data if {
	_places(requests.deploy) == set()
}

test_a_class_that_isolates_too_little_is_refused_and_the_best_one_proposed if {
	_places(requests.changed(requests.deploy, "/app/runtime/class", "container")) == {["app", "runtime", "class"]}
	_fixes(requests.changed(requests.deploy, "/app/runtime/class", "container")) == {[{"op": "replace", "path": ["app", "runtime", "class"], "value": "wasm"}]}
}

test_special_categories_need_a_microVM if {
	request := requests.changed(requests.deploy, "/app/data/classes", ["internal", "special"])
	_places(request) == {["app", "runtime", "class"]}
	_fixes(request) == {[{"op": "replace", "path": ["app", "runtime", "class"], "value": "microvm"}]}
}

test_an_unknown_class_is_refused if {
	request := requests.changed(requests.template, "/app/runtime/class", "bare-metal")
	_places(request) == {["app", "runtime", "class"]}
}

test_a_missing_runtime_is_refused if {
	_places(requests.without(requests.deploy, "/app/runtime")) == {["app", "runtime", "class"]}
}

test_without_data_classes_no_runtime_class_is_good_enough_and_none_is_proposed if {
	_places(requests.changed(requests.deploy, "/app/data/classes", [])) == {["app", "runtime", "class"]}
	_fixes(requests.changed(requests.deploy, "/app/data/classes", [])) == set()
}

test_facts_change_nothing_about_the_runtime if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
