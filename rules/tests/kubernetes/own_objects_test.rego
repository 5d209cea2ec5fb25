package tests.kubernetes.own_objects_test

import data.platform.rules.kubernetes.own_objects
import data.tests.lib.requests

_found(request) := places if {
	places := {v.path | some v in own_objects.deny} with input as request
}

_asked(changes) := object.union(requests.workload, changes)

test_objects_of_others_pass if {
	_found(requests.workload) == set()
	_found(_asked({"resource": {"apiVersion": "apps/v1"}})) == set()
	_found(_asked({"context": {"group_kind": {"group": "apps", "kind": "Deployment"}}})) == set()
}

test_a_misspelt_manifest_is_refused if {
	_found(_asked({"resource": {"apiVersion": "microapps.internal/v1alpha1", "kind": "Microapp"}})) == {["resource", "apiVersion"]}
	_found(_asked({"resource": {"apiVersion": "microapps.internal"}})) == {["resource", "apiVersion"]}
}

test_one_of_another_group_or_in_other_letters_is_refused if {
	every version in ["microapps.example/v1", "Microapps.Internal/v1alpha1", "/microapps.internal/v1alpha1", " microapps.internal/v1"] {
		_found(_asked({"resource": {"apiVersion": version, "kind": "MicroApp"}})) == {["resource", "apiVersion"]}
	}
	_found(_asked({"resource": {"apiVersion": "Microapps.internal/v1alpha1"}})) == {["resource", "apiVersion"]}
	_found(_asked({"resource": {"apiVersion": "apps/v1", "kind": "apptemplate"}})) == {["resource", "apiVersion"]}
	_found(_asked({"resource": {"apiVersion": "apps/v1", "kind": "MicroApps"}})) == set()
}

test_a_connection_to_one_is_refused if {
	connect := {"action": "connect", "context": {"group_kind": {"group": "microapps.internal", "kind": "MicroApp"}}}
	_found(_asked(connect)) == {["context", "group_kind"]}
}
