package tests.pss.app_armor_test

import data.platform.rules.pss.app_armor
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in app_armor.deny} with input as request
}

_key := "container.apparmor.security.beta.kubernetes.io/web"

_changes(profile) := {
	"/securityContext/appArmorProfile": profile,
	"/initContainers/0/securityContext/appArmorProfile": profile,
}

_places := {
	workloads.in_spec(["securityContext", "appArmorProfile", "type"]),
	workloads.in_spec(["initContainers", 0, "securityContext", "appArmorProfile", "type"]),
}

test_a_profile_that_confines_nothing_is_refused if {
	_found(workloads.asked("baseline", "v1.0", _changes({"type": "Unconfined"}))) == _places
	_found(workloads.asked("restricted", "latest", _changes({}))) == _places
	_found(workloads.asked("restricted", "latest", _changes("RuntimeDefault"))) == _places
}

test_the_runtimes_own_and_installed_ones_pass if {
	_found(workloads.asked("baseline", "latest", _changes({"type": "RuntimeDefault"}))) == set()
	_found(workloads.asked("baseline", "latest", _changes({"type": "Localhost"}))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
}

test_annotations_are_judged_too if {
	every value in ["unconfined", "localhost", "runtime/default ", 7, null] {
		_found(workloads.annotated("baseline", "latest", {_key: value})) == {["resource", "metadata", "annotations", _key]}
	}
	every value in ["", "runtime/default", "localhost/mine"] {
		_found(workloads.annotated("baseline", "latest", {_key: value})) == set()
	}
}

test_other_annotations_are_nobodys_business if {
	_found(workloads.annotated("baseline", "latest", {"example.com/note": "unconfined"})) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes({"type": "Unconfined"}))) == set()
	_found(workloads.annotated("privileged", "latest", {_key: "unconfined"})) == set()
}
