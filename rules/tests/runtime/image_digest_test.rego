package tests.runtime.image_digest_test

import data.platform.rules.runtime.image_digest
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in image_digest.deny} with input as request
}

test_an_app_that_starts_from_a_module_has_no_image if {
	_places(requests.deploy) == set()
}

test_a_pinned_image_of_our_registry_passes if {
	request := requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "microvm"), "/app/runtime/image", "registry.example.com/apps/where2eat@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	_places(request) == set()
}

test_a_tag_is_no_digest if {
	request := requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "container"), "/app/runtime/image", "registry.example.com/apps/where2eat:latest")
	_places(request) == {["app", "runtime", "image"]}
}

test_another_registry_is_refused if {
	request := requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "microvm"), "/app/runtime/image", "registry.example.com.evil.example/where2eat@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	_places(request) == {["app", "runtime", "image"]}
}

test_a_missing_image_is_refused if {
	_places(requests.changed(requests.deploy, "/app/runtime/class", "microvm")) == {["app", "runtime", "image"]}
}

test_an_image_that_is_no_text_is_refused if {
	request := requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "microvm"), "/app/runtime/image", 7)
	_places(request) == {["app", "runtime", "image"]}
}

test_without_an_app_there_is_no_image_to_judge if {
	_places(requests.without(requests.deploy, "/app")) == set()
}
