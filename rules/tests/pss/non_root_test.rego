package tests.pss.non_root_test

import data.platform.rules.pss.non_root
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in non_root.deny} with input as request
}

_pod := workloads.in_spec(["securityContext", "runAsNonRoot"])

_containers := {workloads.in_spec([list, 0, "securityContext", "runAsNonRoot"]) | some list in ["containers", "initContainers"]}

_asked(pod, container, version) := workloads.asked("restricted", version, {
	"/securityContext/runAsNonRoot": pod,
	"/containers/0/securityContext/runAsNonRoot": container,
	"/initContainers/0/securityContext/runAsNonRoot": container,
})

test_the_pod_may_say_it_for_all if {
	_found(_asked(true, null, "latest")) == set()
	_found(workloads.asked("restricted", "v1.0", {})) == set()
}

test_each_container_may_say_it_itself if {
	_found(_asked(null, true, "latest")) == set()
}

test_nobody_says_it if {
	_found(_asked(null, null, "v1.0")) == _containers
}

test_a_container_says_otherwise if {
	_found(_asked(true, false, "latest")) == _containers
	_found(_asked(true, "true", "latest")) == _containers
}

test_the_pod_says_otherwise if {
	_found(_asked(false, true, "latest")) == {_pod}
	_found(_asked("true", true, "latest")) == {_pod}
}

test_a_user_namespace_of_its_own_makes_up_for_it_from_1_35_on if {
	_found(object.union(_asked(false, false, "v1.35"), {"resource": {"spec": {"hostUsers": false}}})) == set()
	_found(object.union(_asked(false, true, "v1.34"), {"resource": {"spec": {"hostUsers": false}}})) == {_pod}
}

test_baseline_does_not_ask if {
	request := object.union(_asked(false, false, "latest"), {"context": {"profile": "baseline"}})
	_found(request) == set()
}
