package tests.pss.sysctls_test

import data.platform.rules.pss.sysctls
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in sysctls.deny} with input as request
}

_changes(name) := {"/securityContext/sysctls": [{"name": "kernel.shm_rmid_forced"}, {"name": name}]}

_place := workloads.in_spec(["securityContext", "sysctls", 1, "name"])

_is_allowed_from(name, minor) if {
	_found(workloads.asked("baseline", sprintf("v1.%d", [minor]), _changes(name))) == set()
	_found(workloads.asked("restricted", sprintf("v1.%d", [minor]), _changes(name))) == set()
	_found(workloads.asked("baseline", sprintf("v1.%d", [minor - 1]), _changes(name))) == {_place}
}

test_each_version_allows_some_more if {
	_is_allowed_from("net.ipv4.ip_local_reserved_ports", 27)
	_is_allowed_from("net.ipv4.tcp_keepalive_time", 29)
	_is_allowed_from("net.ipv4.tcp_rmem", 32)
	_is_allowed_from("net.ipv4.tcp_notsent_lowat", 37)
}

test_what_was_allowed_once_stays_allowed if {
	_found(workloads.asked("baseline", "v1.0", _changes("net.ipv4.tcp_syncookies"))) == set()
	_found(workloads.asked("baseline", "latest", _changes("net.ipv4.tcp_syncookies"))) == set()
}

test_others_are_refused if {
	_found(workloads.asked("restricted", "latest", _changes("kernel.msgmax"))) == {_place}
	_found(workloads.asked("baseline", "latest", _changes(null))) == {_place}
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes("kernel.msgmax"))) == set()
}
