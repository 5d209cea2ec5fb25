package tests.pss.probe_hosts_test

import data.platform.rules.pss.probe_hosts
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in probe_hosts.deny} with input as request
}

_changes(host) := {
	"/containers/0/livenessProbe": {"httpGet": {"host": host}},
	"/containers/0/readinessProbe": {"tcpSocket": {"host": host}},
	"/initContainers/0/startupProbe": {"httpGet": {"host": host}},
	"/containers/0/lifecycle": {"preStop": {"httpGet": {"host": host}}, "postStart": {"tcpSocket": {"host": host}}},
}

_places := {
	workloads.in_spec(["containers", 0, "livenessProbe", "httpGet", "host"]),
	workloads.in_spec(["containers", 0, "readinessProbe", "tcpSocket", "host"]),
	workloads.in_spec(["initContainers", 0, "startupProbe", "httpGet", "host"]),
	workloads.in_spec(["containers", 0, "lifecycle", "preStop", "httpGet", "host"]),
	workloads.in_spec(["containers", 0, "lifecycle", "postStart", "tcpSocket", "host"]),
}

test_every_probe_and_hook_is_judged_from_1_34_on if {
	_found(workloads.asked("baseline", "v1.34", _changes("169.254.169.254"))) == _places
	_found(workloads.asked("restricted", "latest", _changes("127.0.0.1"))) == _places
	_found(workloads.asked("baseline", "v1.33", _changes("169.254.169.254"))) == set()
}

test_other_members_are_no_probes_or_hooks if {
	other := {"httpGet": {"host": "169.254.169.254"}}
	_found(workloads.asked("baseline", "latest", {"/containers/0/note": other, "/containers/0/lifecycle": {"note": other}})) == set()
}

test_no_host_is_the_pod_itself if {
	_found(workloads.asked("baseline", "latest", _changes(""))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
}

test_a_host_that_is_no_text_is_one_all_the_same if {
	_found(workloads.asked("baseline", "latest", _changes(0))) == _places
}
