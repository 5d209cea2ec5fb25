package tests.pss.selinux_test

import data.platform.rules.pss.selinux
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in selinux.deny} with input as request
}

_changes(options) := {
	"/securityContext/seLinuxOptions": options,
	"/containers/0/securityContext/seLinuxOptions": options,
}

_places(member) := {
	workloads.in_spec(["securityContext", "seLinuxOptions", member]),
	workloads.in_spec(["containers", 0, "securityContext", "seLinuxOptions", member]),
}

test_types_of_containers_pass if {
	every sort in ["", null, "container_t", "container_init_t", "container_kvm_t"] {
		_found(workloads.asked("baseline", "v1.0", _changes({"type": sort}))) == set()
	}
	_found(workloads.asked("restricted", "latest", _changes({}))) == set()
}

test_other_types_are_refused if {
	_found(workloads.asked("baseline", "latest", _changes({"type": "spc_t"}))) == _places("type")
	_found(workloads.asked("restricted", "latest", _changes({"type": 7}))) == _places("type")
}

test_engines_in_containers_are_allowed_from_1_31_on if {
	_found(workloads.asked("baseline", "v1.30", _changes({"type": "container_engine_t"}))) == _places("type")
	_found(workloads.asked("baseline", "v1.31", _changes({"type": "container_engine_t"}))) == set()
}

test_user_and_role_stay_as_they_are if {
	_found(workloads.asked("baseline", "v1.0", _changes({"user": "system_u"}))) == _places("user")
	_found(workloads.asked("restricted", "latest", _changes({"role": "system_r"}))) == _places("role")
	_found(workloads.asked("restricted", "latest", _changes({"role": "", "user": null}))) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes({"type": "spc_t", "user": "system_u"}))) == set()
}
