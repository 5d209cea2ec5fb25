package tests.kubernetes.image_latest_test

import data.platform.rules.kubernetes.image_latest
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in image_latest.deny} with input as request
}

_place := workloads.in_spec(["containers", 0, "image"])

_image(image) := {"/containers/0/image": image}

test_versions_and_digests_pass if {
	_found(workloads.changed({})) == set()
	_found(workloads.changed(_image("registry.example.com:5000/lunch:1.4.0"))) == set()
	_found(workloads.changed(_image("registry.example.com:5000/lunch@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))) == set()
}

test_latest_is_refused_even_beside_a_digest if {
	_found(workloads.changed(_image("registry.example.com/lunch:latest"))) == {_place}
	_found(workloads.changed(_image("registry.example.com/lunch:latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))) == {_place}
}

test_no_tag_is_latest if {
	every image in ["lunch", "registry.example.com:5000/lunch", "", null] {
		_found(workloads.changed(_image(image))) == {_place}
	}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_image("a")), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in image_latest.deny} with input as workloads.asked("restricted", "latest", _image("a"))
	weights == {"warn"}
	alone := {v.effect | some v in image_latest.deny} with input as workloads.changed(_image("a"))
	alone == {"deny"}
}
