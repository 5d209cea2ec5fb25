package tests.pss.proc_mount_test

import data.platform.rules.pss.proc_mount
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in proc_mount.deny} with input as request
}

_changes(mount) := {
	"/containers/0/securityContext/procMount": mount,
	"/initContainers/0/securityContext/procMount": mount,
}

_places := {workloads.in_spec([list, 0, "securityContext", "procMount"]) | some list in ["containers", "initContainers"]}

test_proc_without_masks_is_refused if {
	_found(workloads.asked("baseline", "v1.0", _changes("Unmasked"))) == _places
	_found(workloads.asked("restricted", "latest", _changes(""))) == _places
}

test_the_default_passes if {
	_found(workloads.asked("baseline", "latest", _changes("Default"))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
	_found(workloads.asked("baseline", "latest", {})) == set()
}

_apart(value) := object.union(_changes("Unmasked"), {"/hostUsers": value})

test_a_user_namespace_of_its_own_makes_up_for_it_in_baseline_from_1_35_on if {
	_found(workloads.asked("baseline", "v1.35", _apart(false))) == set()
	_found(workloads.asked("baseline", "v1.34", _apart(false))) == _places
	_found(workloads.asked("restricted", "v1.35", _apart(false))) == _places
	_found(workloads.asked("baseline", "v1.35", _apart(true))) == _places
	_found(workloads.asked("baseline", "v1.35", _apart(null))) == _places
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes("Unmasked"))) == set()
}
