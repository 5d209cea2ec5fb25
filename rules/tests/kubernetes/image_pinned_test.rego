package tests.kubernetes.image_pinned_test

import data.platform.rules.kubernetes.image_pinned
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in image_pinned.deny} with input as request
}

_place := workloads.in_spec(["containers", 0, "image"])

_image(image) := {"/containers/0/image": image}

_digest := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

test_a_digest_passes_in_containers_of_every_sort if {
	_found(workloads.changed({})) == set()
	_found(workloads.changed(_image(concat("@", ["registry.example.com:5000/a/b_c.d-e", _digest])))) == set()
}

test_a_tag_or_nothing_is_refused if {
	every image in ["registry.example.com/apps/lunch:1.4.0", "", null, 7, "lunch@sha256:0123", concat("", ["lunch@", _digest, "x"])] {
		_found(workloads.changed(_image(image))) == {_place}
	}
}

test_init_and_ephemeral_containers_are_judged if {
	request := workloads.changed({"/initContainers/0/image": "a:1", "/ephemeralContainers": [{"image": "b:1"}]})
	_found(request) == {workloads.in_spec(["initContainers", 0, "image"]), workloads.in_spec(["ephemeralContainers", 0, "image"])}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_image("a:1")), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in image_pinned.deny} with input as workloads.asked("restricted", "latest", _image("a:1"))
	weights == {"warn"}
	alone := {v.effect | some v in image_pinned.deny} with input as workloads.changed(_image("a:1"))
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
