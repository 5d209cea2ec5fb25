package tests.pss.capabilities_dropped_test

import data.platform.rules.pss.capabilities_dropped
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in capabilities_dropped.deny} with input as request
}

_changes(capabilities) := {
	"/containers/0/securityContext/capabilities": capabilities,
	"/initContainers/0/securityContext/capabilities": capabilities,
}

_dropped := {workloads.in_spec([list, 0, "securityContext", "capabilities", "drop"]) | some list in ["containers", "initContainers"]}

_added(i) := {workloads.in_spec([list, 0, "securityContext", "capabilities", "add", i]) |
	some list in ["containers", "initContainers"]
}

test_all_are_dropped_from_1_22_on if {
	every capabilities in [null, {}, {"drop": []}, {"drop": ["NET_RAW", "all"]}, {"drop": "ALL"}] {
		_found(workloads.asked("restricted", "latest", _changes(capabilities))) == _dropped
		_found(workloads.asked("restricted", "v1.22", _changes(capabilities))) == _dropped
		_found(workloads.asked("restricted", "v1.21", _changes(capabilities))) == set()
	}
	_found(workloads.asked("restricted", "v1.22", _changes({"drop": ["NET_RAW", "ALL"]}))) == set()
}

test_only_low_ports_are_given_back if {
	_found(workloads.asked("restricted", "v1.22", _changes({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}))) == set()
	_found(workloads.asked("restricted", "v1.22", _changes({"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN"]}))) == _added(1)
	_found(workloads.asked("restricted", "v1.21", _changes({"drop": ["ALL"], "add": ["CHOWN"]}))) == set()
}

test_windows_is_excused_from_1_25_on if {
	windows := object.union(_changes({"add": ["CHOWN"]}), {"/os": {"name": "windows"}})
	_found(workloads.asked("restricted", "v1.25", windows)) == set()
	_found(workloads.asked("restricted", "v1.24", windows)) == _dropped | _added(0)
}

test_baseline_does_not_ask if {
	_found(workloads.asked("baseline", "latest", _changes({"add": ["CHOWN"]}))) == set()
}
