package tests.pss.capabilities_test

import data.platform.rules.pss.capabilities
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in capabilities.deny} with input as request
}

_changes(added) := {
	"/containers/0/securityContext/capabilities/add": added,
	"/initContainers/0/securityContext/capabilities/add": added,
}

_places(i) := {workloads.in_spec([list, 0, "securityContext", "capabilities", "add", i]) |
	some list in ["containers", "initContainers"]
}

test_what_goes_beyond_the_default_is_refused if {
	_found(workloads.asked("baseline", "latest", _changes(["CHOWN", "NET_RAW"]))) == _places(1)
	_found(workloads.asked("baseline", "v1.0", _changes(["chown"]))) == _places(0)
	_found(workloads.asked("baseline", "v1.0", _changes([null]))) == _places(0)
}

test_the_default_ones_pass if {
	_found(workloads.asked("baseline", "latest", _changes(["CHOWN", "NET_BIND_SERVICE", "SYS_CHROOT"]))) == set()
	_found(workloads.asked("baseline", "latest", {})) == set()
}

test_the_restricted_profile_has_a_check_of_its_own_from_1_22_on if {
	_found(workloads.asked("restricted", "v1.21", _changes(["SYS_ADMIN"]))) == _places(0)
	_found(workloads.asked("restricted", "v1.22", _changes(["SYS_ADMIN"]))) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes(["SYS_ADMIN"]))) == set()
}
