package tests.pss.host_namespaces_test

import data.platform.rules.pss.host_namespaces
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in host_namespaces.deny} with input as request
}

test_each_namespace_of_the_host_is_refused if {
	request := workloads.asked("baseline", "v1.0", {"/hostNetwork": true, "/hostPID": true, "/hostIPC": true})
	_found(request) == {workloads.in_spec([name]) | some name in ["hostNetwork", "hostPID", "hostIPC"]}
}

test_what_is_no_boolean_is_refused if {
	_found(workloads.asked("restricted", "latest", {"/hostPID": "false"})) == {workloads.in_spec(["hostPID"])}
}

test_false_null_and_nothing_pass if {
	_found(workloads.asked("baseline", "latest", {"/hostNetwork": false, "/hostPID": null})) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", {"/hostNetwork": true})) == set()
}

test_a_pod_that_goes_away_is_not_judged if {
	request := object.union(workloads.asked("baseline", "latest", {"/hostNetwork": true}), {"action": "delete"})
	_found(request) == set()
}
