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

_pinned := "registry.example.com/apps/payroll@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

_of_image(module) := requests.extended(
	requests.extended(requests.changed(requests.deploy, "/app/runtime/class", "container"), "/app/runtime/image", _pinned),
	"/app/runtime/module",
	module,
)

test_a_file_that_an_image_comes_in_has_the_image_s_digest if {
	_places(_of_image({"path": "images/payroll", "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"})) == set()
	_places(_of_image({"path": "images/payroll.tar"})) == set()
}

test_another_checksum_than_the_image_s_digest_is_refused if {
	_places(_of_image({"path": "images/payroll", "sha256": "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"})) == {["app", "runtime", "module", "sha256"]}
	_places(_of_image({"path": "images/payroll", "sha256": 7})) == {["app", "runtime", "module", "sha256"]}
}

test_a_file_outside_the_repository_is_refused_for_every_class if {
	every class in data.platform.runtime.preference {
		every path in ["/tmp/other/theirs.tar", "../other/theirs.tar", 7, ""] {
			_places(requests.changed(_of_image({"path": path, "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}), "/app/runtime/class", class)) == {["app", "runtime", "module", "path"]}
		}
	}
}

test_a_checksum_beside_an_image_that_is_not_pinned_is_refused if {
	request := requests.changed(_of_image({"path": "images/payroll", "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}), "/app/runtime/image", "registry.example.com/apps/payroll:latest")
	_places(request) == {["app", "runtime", "module", "sha256"]}
}

test_a_module_that_is_no_object_is_refused if {
	["app", "runtime", "module"] in _places(_of_image("images/payroll.tar"))
}
