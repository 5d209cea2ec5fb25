package tests.pss.seccomp_annotations_test

import data.platform.rules.pss.seccomp_annotations
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in seccomp_annotations.deny} with input as request
}

_pod := "seccomp.security.alpha.kubernetes.io/pod"

_container := "container.seccomp.security.alpha.kubernetes.io/web"

_place(name) := ["resource", "metadata", "annotations", name]

test_unconfined_is_refused_up_to_1_18 if {
	request := workloads.annotated("baseline", "v1.18", {_pod: "unconfined", _container: "unconfined"})
	_found(request) == {_place(_pod), _place(_container)}
	_found(workloads.annotated("restricted", "v1.0", {_pod: ""})) == {_place(_pod)}
	_found(workloads.annotated("restricted", "v1.0", {_pod: 7})) == {_place(_pod)}
}

test_from_1_19_on_annotations_say_nothing if {
	_found(workloads.annotated("baseline", "v1.19", {_pod: "unconfined"})) == set()
	_found(workloads.annotated("restricted", "v1.19", {_pod: "unconfined"})) == set()
}

test_known_profiles_pass if {
	every value in ["runtime/default", "docker/default", "localhost/mine"] {
		_found(workloads.annotated("baseline", "v1.10", {_pod: value})) == set()
	}
	_found(workloads.annotated("baseline", "v1.10", {})) == set()
}

test_a_container_that_is_not_there_has_no_annotation if {
	request := workloads.annotated("baseline", "v1.10", {"container.seccomp.security.alpha.kubernetes.io/other": "unconfined"})
	_found(request) == set()
}
