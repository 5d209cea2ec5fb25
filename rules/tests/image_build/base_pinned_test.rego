package tests.image_build.base_pinned_test

import data.platform.rules.image_build.base_pinned
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in base_pinned.deny} with input as request
}

test_a_base_with_a_digest_passes if {
	_places(requests.image_build) == set()
}

test_a_tag_is_no_digest if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "registry.example.com/python:3.12")) == {["resource", "stages", 0, "image"]}
}

test_a_digest_that_is_cut_off_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "registry.example.com/python@sha256:abc")) == {["resource", "stages", 0, "image"]}
}

test_a_variable_that_nothing_filled_in_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "${BASE}")) == {["resource", "stages", 0, "image"]}
}

test_nothing_needs_no_digest if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "scratch")) == set()
}

test_an_image_that_files_are_copied_from_counts_too if {
	_places(requests.changed(requests.image_build, "/resource/images", [{"image": "alpine", "instruction": 1}])) == {["resource", "images", 0, "image"]}
}

test_a_stage_that_is_no_object_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/0", 7)) == {["resource", "stages", 0, "image"]}
}

test_no_stage_is_no_base if {
	_places(requests.changed(requests.image_build, "/resource/stages", [])) == {["resource", "stages"]}
}

test_a_missing_resource_is_refused if {
	_places(requests.without(requests.image_build, "/resource")) == {["resource", "stages"]}
}

test_facts_change_nothing_about_a_base if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
