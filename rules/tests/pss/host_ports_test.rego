package tests.pss.host_ports_test

import data.platform.rules.pss.host_ports
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in host_ports.deny} with input as request
}

_changes(number) := {
	"/containers/0/ports": [{"containerPort": 8080}, {"containerPort": 80, "hostPort": number}],
	"/initContainers/0/ports": [{"hostPort": number}],
}

_places := {
	workloads.in_spec(["containers", 0, "ports", 1, "hostPort"]),
	workloads.in_spec(["initContainers", 0, "ports", 0, "hostPort"]),
}

test_a_port_of_the_host_is_refused if {
	_found(workloads.asked("baseline", "v1.0", _changes(8080))) == _places
	_found(workloads.asked("restricted", "latest", _changes("0"))) == _places
	_found(workloads.asked("restricted", "latest", _changes(1))) == _places
}

test_none_is_zero_or_nothing if {
	_found(workloads.asked("baseline", "latest", _changes(0))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
	_found(workloads.asked("baseline", "latest", {"/containers/0/ports": ["x"]})) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes(8080))) == set()
}
