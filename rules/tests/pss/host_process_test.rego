package tests.pss.host_process_test

import data.platform.rules.pss.host_process
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in host_process.deny} with input as request
}

_in_pod := workloads.in_spec(["securityContext", "windowsOptions", "hostProcess"])

_in_container := workloads.in_spec(["containers", 0, "securityContext", "windowsOptions", "hostProcess"])

_changes(value) := {
	"/securityContext/windowsOptions": {"hostProcess": value},
	"/containers/0/securityContext/windowsOptions": {"hostProcess": value},
}

test_a_host_process_is_refused_in_pod_and_container if {
	_found(workloads.asked("baseline", "v1.0", _changes(true))) == {_in_pod, _in_container}
	_found(workloads.asked("restricted", "latest", _changes("true"))) == {_in_pod, _in_container}
}

test_false_and_nothing_pass if {
	_found(workloads.asked("baseline", "latest", _changes(false))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
	_found(workloads.asked("baseline", "latest", {})) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes(true))) == set()
}
