package tests.pss.seccomp_test

import data.platform.rules.pss.seccomp
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in seccomp.deny} with input as request
}

_changes(profile) := {
	"/securityContext/seccompProfile": profile,
	"/containers/0/securityContext/seccompProfile": profile,
}

_places := {
	workloads.in_spec(["securityContext", "seccompProfile", "type"]),
	workloads.in_spec(["containers", 0, "securityContext", "seccompProfile", "type"]),
}

test_a_profile_that_confines_nothing_is_refused_from_1_19_on if {
	_found(workloads.asked("baseline", "v1.19", _changes({"type": "Unconfined"}))) == _places
	_found(workloads.asked("baseline", "latest", _changes({}))) == _places
	_found(workloads.asked("baseline", "v1.18", _changes({"type": "Unconfined"}))) == set()
}

test_known_profiles_and_none_pass if {
	_found(workloads.asked("baseline", "latest", _changes({"type": "RuntimeDefault"}))) == set()
	_found(workloads.asked("baseline", "latest", _changes({"type": "Localhost"}))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
}

test_the_restricted_profile_has_a_check_of_its_own if {
	_found(workloads.asked("restricted", "latest", _changes({"type": "Unconfined"}))) == set()
}
