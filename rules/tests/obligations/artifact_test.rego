package tests.obligations.artifact_test

import data.platform.obligations.artifact
import data.tests.lib.requests

_values(request) := values if {
	values := artifact.oblige with input as request
}

_imaged(image) := requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "microvm"), "/app/runtime/image", image)

test_a_module_is_named_by_its_checksum if {
	_values(requests.deploy) == {sprintf("sha256:%s", [requests.deploy.app.runtime.module.sha256])}
}

test_an_image_is_named_by_its_own_digest_whatever_the_module_says if {
	pinned := "registry.example.com/apps/where2eat@sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	_values(_imaged(pinned)) == {"sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
}

test_what_is_not_pinned_has_no_digest if {
	_values(_imaged("registry.example.com/apps/where2eat:latest")) == set()
	_values(_imaged(7)) == set()
	_values(requests.changed(requests.deploy, "/app/runtime/module/sha256", "0123")) == set()
}

test_without_an_app_there_is_none if {
	_values(requests.without(requests.deploy, "/app")) == set()
}
