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

test_a_volume_that_is_an_image_is_judged_as_well if {
	place := workloads.in_spec(["volumes", 0, "image", "reference"])
	every image in [{"reference": "evil.example/tools:latest"}, {"reference": null}, {}, [], "evil.example/tools:1"] {
		_found(workloads.changed({"/volumes": [{"name": "tools", "image": image}]})) == {place}
	}
	good := {"reference": concat("", ["registry.example.com/tools@sha256:", sprintf("%064d", [7])])}
	every volume in [{"name": "tools", "image": good}, {"name": "tools", "image": null}, {"name": "tools", "emptyDir": {}}] {
		_found(workloads.changed({"/volumes": [volume]})) == set()
	}
}
