package tests.image_build.base_registry_test

import data.platform.rules.image_build.base_registry
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in base_registry.deny} with input as request
}

test_our_registry_passes if {
	_places(requests.image_build) == set()
}

test_a_name_without_a_registry_is_somebody_else_s if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "python@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) == {["resource", "stages", 0, "image"]}
}

test_a_registry_that_only_starts_like_ours_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "registry.example.com.evil.example/python")) == {["resource", "stages", 0, "image"]}
}

test_nothing_comes_from_nowhere if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", "scratch")) == set()
}

test_an_image_that_files_are_copied_from_counts_too if {
	_places(requests.changed(requests.image_build, "/resource/images", [{"image": "ghcr.io/tool", "instruction": 1}])) == {["resource", "images", 0, "image"]}
}

test_an_image_that_is_no_text_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/0/image", 7)) == {["resource", "stages", 0, "image"]}
}

test_facts_change_nothing_about_a_registry if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
