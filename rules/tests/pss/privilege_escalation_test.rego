package tests.pss.privilege_escalation_test

import data.platform.rules.pss.privilege_escalation
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in privilege_escalation.deny} with input as request
}

_changes(value) := {
	"/containers/0/securityContext/allowPrivilegeEscalation": value,
	"/initContainers/0/securityContext/allowPrivilegeEscalation": value,
}

_places := {workloads.in_spec([list, 0, "securityContext", "allowPrivilegeEscalation"]) |
	some list in ["containers", "initContainers"]
}

test_it_has_to_be_forbidden_from_1_8_on if {
	_found(workloads.asked("restricted", "v1.8", _changes(true))) == _places
	_found(workloads.asked("restricted", "latest", _changes(null))) == _places
	_found(workloads.asked("restricted", "latest", _changes("false"))) == _places
	_found(workloads.asked("restricted", "v1.7", _changes(true))) == set()
}

test_a_container_without_a_security_context_forbids_nothing if {
	_found(workloads.asked("restricted", "latest", {"/containers": [{"name": "web"}]})) == {workloads.in_spec(["containers", 0, "securityContext", "allowPrivilegeEscalation"])}
}

test_forbidden_passes if {
	_found(workloads.asked("restricted", "latest", {})) == set()
}

test_windows_is_excused_from_1_25_on if {
	windows := object.union(_changes(true), {"/os": {"name": "windows"}})
	_found(workloads.asked("restricted", "v1.24", windows)) == _places
	_found(workloads.asked("restricted", "v1.25", windows)) == set()
	_found(workloads.asked("restricted", "v1.25", object.union(windows, {"/os": {"name": "linux"}}))) == _places
}

test_baseline_does_not_ask if {
	_found(workloads.asked("baseline", "latest", _changes(true))) == set()
}
