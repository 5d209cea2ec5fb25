package tests.runtime.module_checksum_test

import data.platform.rules.runtime.module_checksum
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in module_checksum.deny} with input as request
}

test_a_well_formed_checksum_passes if {
	_places(requests.deploy) == set()
}

test_a_missing_checksum_is_refused if {
	_places(requests.without(requests.deploy, "/app/runtime/module/sha256")) == {["app", "runtime", "module", "sha256"]}
}

test_a_short_checksum_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/module/sha256", "0123456789abcdef")
	_places(request) == {["app", "runtime", "module", "sha256"]}
}

test_a_checksum_with_something_behind_it_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/module/sha256", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n")
	_places(request) == {["app", "runtime", "module", "sha256"]}
}

test_a_checksum_that_is_no_text_is_refused if {
	_places(requests.changed(requests.deploy, "/app/runtime/module/sha256", 7)) == {["app", "runtime", "module", "sha256"]}
}

test_a_path_that_leaves_the_repository_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/module/path", "build/../../etc/passwd")
	_places(request) == {["app", "runtime", "module", "path"]}
}

test_an_absolute_path_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/module/path", "/usr/lib/app.wasm")
	_places(request) == {["app", "runtime", "module", "path"]}
}

test_a_missing_module_is_refused_twice if {
	_places(requests.without(requests.deploy, "/app/runtime/module")) == {["app", "runtime", "module", "sha256"], ["app", "runtime", "module", "path"]}
}

test_a_path_that_is_no_text_is_refused if {
	request := requests.changed(requests.deploy, "/app/runtime/module/path", ["build"])
	_places(request) == {["app", "runtime", "module", "path"]}
}

test_a_class_that_starts_from_an_image_is_judged_elsewhere if {
	request := requests.changed(requests.without(requests.deploy, "/app/runtime/module"), "/app/runtime/class", "microvm")
	_places(request) == set()
}

test_facts_change_nothing_about_a_checksum if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
