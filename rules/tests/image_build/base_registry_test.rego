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

_read_by(frontend) := requests.extended(requests.image_build, "/resource/frontend", frontend)

test_the_usual_frontend_may_read_the_file if {
	every frontend in ["docker/dockerfile", "docker/dockerfile:1", "docker.io/docker/dockerfile:1.7-labs", "docker/dockerfile-upstream:master", "registry.example.com/dockerfile:1"] {
		_places(_read_by(frontend)) == set()
	}
}

test_another_frontend_may_not if {
	every frontend in ["evil.example/frontend:latest", "docker/dockerfile.evil:1", "evil.example/docker/dockerfile:1", "docker/dockerfile:1\n", "", 7] {
		_places(_read_by(frontend)) == {["resource", "frontend"]}
	}
}
