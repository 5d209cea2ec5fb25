package tests.kubernetes.image_registry_test

import data.platform.rules.kubernetes.image_registry
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in image_registry.deny} with input as request
}

_place := workloads.in_spec(["containers", 0, "image"])

_image(image) := {"/containers/0/image": image}

test_our_registry_passes if {
	_found(workloads.changed({})) == set()
}

test_others_are_refused if {
	every image in ["lunch", "docker.io/lunch:1", "registry.example.com.evil.example/lunch:1", "registry.example.com@evil.example/x", "", null] {
		_found(workloads.changed(_image(image))) == {_place}
	}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_image("a:1")), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in image_registry.deny} with input as workloads.asked("restricted", "latest", _image("a:1"))
	weights == {"warn"}
	alone := {v.effect | some v in image_registry.deny} with input as workloads.changed(_image("a:1"))
	alone == {"deny"}
}
