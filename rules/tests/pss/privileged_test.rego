package tests.pss.privileged_test

import data.platform.rules.pss.privileged
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in privileged.deny} with input as request
}

_places := {workloads.in_spec([list, 0, "securityContext", "privileged"]) |
	some list in ["containers", "initContainers", "ephemeralContainers"]
}

_changes(value) := {
	"/containers/0/securityContext/privileged": value,
	"/initContainers/0/securityContext/privileged": value,
	"/ephemeralContainers": [{"name": "debug", "securityContext": {"privileged": value}}],
}

test_containers_of_every_sort_are_judged if {
	_found(workloads.asked("baseline", "v1.0", _changes(true))) == _places
	_found(workloads.asked("restricted", "latest", _changes(true))) == _places
}

test_what_is_no_boolean_is_refused if {
	_found(workloads.asked("baseline", "latest", _changes("true"))) == _places
	_found(workloads.asked("baseline", "latest", _changes(1))) == _places
}

test_false_null_and_nothing_pass if {
	_found(workloads.asked("baseline", "latest", _changes(false))) == set()
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
	_found(workloads.asked("baseline", "latest", {})) == set()
}

test_the_privileged_profile_allows_it if {
	_found(workloads.asked("privileged", "latest", _changes(true))) == set()
}

test_nobody_named_a_profile_and_the_strictest_counts if {
	_found(workloads.changed(_changes(true))) == _places
}

test_the_pod_of_a_template_is_found_where_its_kind_keeps_it if {
	request := workloads.asked("baseline", "latest", {"/containers/0/securityContext/privileged": true})
	rest := ["spec", "containers", 0, "securityContext", "privileged"]
	every kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"] {
		_found(workloads.within(request, kind, ["template"])) == {array.concat(["resource", "spec", "template"], rest)}
	}
	cron := workloads.within(request, "CronJob", ["jobTemplate", "spec", "template"])
	_found(cron) == {array.concat(["resource", "spec", "jobTemplate", "spec", "template"], rest)}
}

test_a_pod_template_of_its_own_is_judged if {
	request := workloads.asked("baseline", "latest", {"/containers/0/securityContext/privileged": true})
	template := json.patch(request, [{"op": "add", "path": "/resource", "value": {
		"apiVersion": "v1",
		"kind": "PodTemplate",
		"template": {"spec": request.resource.spec},
	}}])
	_found(template) == {["resource", "template", "spec", "containers", 0, "securityContext", "privileged"]}
}

test_the_container_is_named if {
	messages := {v.message | some v in privileged.deny} with input as workloads.asked("baseline", "latest", {"/containers/0/securityContext/privileged": true})
	messages == {`The container "web" is privileged.`}
}

test_ephemeral_containers_are_judged_as_they_are_added if {
	request := json.patch(workloads.asked("baseline", "latest", _changes(true)), [
		{"op": "add", "path": "/action", "value": "update"},
		{"op": "add", "path": "/context/sub_resource", "value": "ephemeralcontainers"},
	])
	_found(request) == _places
}

test_a_status_is_written_without_the_pod if {
	request := json.patch(workloads.asked("baseline", "latest", _changes(true)), [
		{"op": "add", "path": "/action", "value": "update"},
		{"op": "add", "path": "/context/sub_resource", "value": "status"},
	])
	_found(request) == set()
}

test_nothing_is_created_without_its_pod if {
	request := json.patch(
		workloads.asked("baseline", "latest", _changes(true)),
		[{"op": "add", "path": "/context/sub_resource", "value": "status"}],
	)
	_found(request) == _places
}

test_an_object_that_is_no_workload_has_no_pod if {
	_found(object.union(workloads.asked("baseline", "latest", _changes(true)), {"resource": {"kind": "ConfigMap"}})) == set()
}
