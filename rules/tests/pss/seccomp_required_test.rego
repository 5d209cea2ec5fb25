package tests.pss.seccomp_required_test

import data.platform.rules.pss.seccomp_required
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in seccomp_required.deny} with input as request
}

_pod := workloads.in_spec(["securityContext", "seccompProfile", "type"])

_web := workloads.in_spec(["containers", 0, "securityContext", "seccompProfile", "type"])

_setup := workloads.in_spec(["initContainers", 0, "securityContext", "seccompProfile", "type"])

_asked(pod, container, version) := workloads.asked("restricted", version, {
	"/securityContext/seccompProfile": pod,
	"/containers/0/securityContext/seccompProfile": container,
})

_default := {"type": "RuntimeDefault"}

test_the_pod_may_say_it_for_all if {
	_found(_asked(_default, null, "latest")) == set()
	_found(_asked({"type": "Localhost"}, null, "v1.19")) == set()
}

test_nobody_says_it if {
	_found(_asked(null, null, "v1.19")) == {_web, _setup}
	_found(_asked(null, null, "v1.18")) == set()
}

test_a_container_may_say_it_itself if {
	_found(_asked(null, _default, "latest")) == {_setup}
}

test_what_confines_nothing_is_refused if {
	_found(_asked(_default, {"type": "Unconfined"}, "latest")) == {_web}
	_found(_asked(_default, {}, "latest")) == {_web}
	_found(_asked({"type": "Unconfined"}, _default, "latest")) == {_pod, _setup}
	_found(_asked("RuntimeDefault", _default, "latest")) == {_pod, _setup}
}

test_windows_is_excused_from_1_25_on if {
	windows := {"resource": {"spec": {"os": {"name": "windows"}}}}
	_found(object.union(_asked({"type": "Unconfined"}, null, "v1.25"), windows)) == set()
	_found(object.union(_asked({"type": "Unconfined"}, null, "v1.24"), windows)) == {_pod, _web, _setup}
}

test_baseline_does_not_ask if {
	_found(workloads.asked("baseline", "latest", {"/securityContext": {}})) == set()
	_found(workloads.asked("baseline", "latest", {"/securityContext/seccompProfile": {"type": "Unconfined"}})) == set()
}
