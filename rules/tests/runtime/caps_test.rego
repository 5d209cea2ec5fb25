package tests.runtime.caps_test

import data.platform.rules.runtime.caps
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in caps.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in caps.deny} with input as request
}

test_caps_within_limits_pass if {
	_places(requests.deploy) == set()
}

test_a_cap_above_the_limit_is_refused_and_lowered_to_it if {
	_places(requests.changed(requests.deploy, "/app/runtime/caps/memoryMiB", 4096)) == {["app", "runtime", "caps", "memoryMiB"]}
	_fixes(requests.changed(requests.deploy, "/app/runtime/caps/memoryMiB", 4096)) == {[{"op": "add", "path": ["app", "runtime", "caps", "memoryMiB"], "value": 512}]}
}

test_a_cap_at_the_limit_passes if {
	_places(requests.changed(requests.deploy, "/app/runtime/caps/memoryMiB", 512)) == set()
}

test_a_cap_of_zero_is_refused if {
	_places(requests.changed(requests.template, "/app/runtime/caps/cpu", 0)) == {["app", "runtime", "caps", "cpu"]}
}

test_a_cap_in_words_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/caps/timeoutMs", "5000")
	_places(request) == {["app", "runtime", "caps", "timeoutMs"]}
}

test_each_missing_cap_is_named if {
	_places(requests.without(requests.deploy, "/app/runtime/caps")) == {["app", "runtime", "caps", "cpu"], ["app", "runtime", "caps", "memoryMiB"], ["app", "runtime", "caps", "storageMiB"], ["app", "runtime", "caps", "timeoutMs"]}
}

test_a_runtime_class_without_limits_has_no_caps if {
	_places(requests.changed(requests.deploy, "/app/runtime/class", "bare-metal")) == {["app", "runtime", "caps"]}
}

test_a_missing_runtime_is_refused if {
	_places(requests.without(requests.deploy, "/app/runtime")) == {["app", "runtime", "caps"]}
}

test_facts_change_nothing_about_caps if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_an_empty_cap_is_refused if {
	_places(requests.changed(requests.deploy, "/app/runtime/caps/cpu", null)) == {["app", "runtime", "caps", "cpu"]}
}
