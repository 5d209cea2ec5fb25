package tests.pss.root_user_test

import data.platform.rules.pss.root_user
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in root_user.deny} with input as request
}

_changes(user) := {
	"/securityContext/runAsUser": user,
	"/containers/0/securityContext/runAsUser": user,
}

_places := {
	workloads.in_spec(["securityContext", "runAsUser"]),
	workloads.in_spec(["containers", 0, "securityContext", "runAsUser"]),
}

test_root_is_refused_from_1_23_on if {
	_found(workloads.asked("restricted", "v1.23", _changes(0))) == _places
	_found(workloads.asked("restricted", "latest", _changes(0))) == _places
	_found(workloads.asked("restricted", "v1.22", _changes(0))) == set()
}

test_what_is_no_number_is_refused if {
	_found(workloads.asked("restricted", "latest", _changes("1000"))) == _places
	_found(workloads.asked("restricted", "latest", _changes(false))) == _places
}

test_others_pass if {
	_found(workloads.asked("restricted", "latest", _changes(1))) == set()
	_found(workloads.asked("restricted", "latest", _changes(null))) == set()
	_found(workloads.asked("restricted", "latest", {})) == set()
}

test_a_user_namespace_of_its_own_makes_up_for_it_from_1_35_on if {
	apart := object.union(_changes(0), {"/hostUsers": false})
	_found(workloads.asked("restricted", "v1.34", apart)) == _places
	_found(workloads.asked("restricted", "v1.35", apart)) == set()
}

test_baseline_does_not_ask if {
	_found(workloads.asked("baseline", "latest", _changes(0))) == set()
}
