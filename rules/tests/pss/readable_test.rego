package tests.pss.readable_test

import data.platform.rules.pss.readable
import data.tests.lib.requests
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in readable.deny} with input as request
}

_spec := ["resource", "spec"]

_patched(op, pointer, value) := json.patch(requests.workload, [{"op": op, "path": pointer, "value": value}])

test_a_pod_and_each_workload_pass if {
	_found(requests.workload) == set()
	_found(workloads.within(requests.workload, "Deployment", ["template"])) == set()
	_found(workloads.within(requests.workload, "CronJob", ["jobTemplate", "spec", "template"])) == set()
}

test_what_is_no_workload_passes if {
	_found(object.union(requests.workload, {"resource": {"kind": "ConfigMap", "spec": "x"}})) == set()
}

test_without_an_object_there_is_nothing_to_judge if {
	_found(_patched("add", "/resource", {})) == {["resource", "apiVersion"], ["resource", "kind"]}
	_found(requests.without(requests.workload, "/resource/kind")) == {["resource", "kind"]}
	_found(requests.without(requests.workload, "/resource/apiVersion")) == {["resource", "apiVersion"]}
	_found(object.union(_patched("add", "/resource", {}), {"action": "delete"})) == set()
}

test_another_kind_than_announced_is_refused if {
	announced := {"context": {"group_kind": {"group": "", "version": "v1", "kind": "Pod"}}}
	_found(object.union(requests.workload, announced)) == set()
	_found(object.union(_patched("add", "/resource/kind", "Pods"), announced)) == {["resource", "kind"]}
	_found(object.union(object.union(_patched("add", "/resource/kind", "Pods"), announced), {"action": "delete"})) == set()
	_found(object.union(_patched("add", "/resource/kind", "Pods"), {"context": {"group_kind": {"kind": "Pods"}}})) == set()
	_found(object.union(requests.workload, {"context": {"group_kind": {"kind": "ConfigMap"}}})) == {["resource", "kind"]}
	_found(object.union(requests.workload, {"context": {"group_kind": {"kind": null}}})) == {["resource", "kind"]}
	_found(object.union(requests.workload, {"context": {"group_kind": "Pod"}})) == {["resource", "kind"]}
	_found(object.union(requests.workload, {"context": {"group_kind": {}}})) == set()
}

test_a_kind_in_other_letters_is_refused if {
	_found(_patched("add", "/resource/kind", "pod")) == {["resource", "kind"]}
	_found(_patched("add", "/resource/kind", "DEPLOYMENT")) == {["resource", "kind"]}
	_found(object.union(_patched("add", "/resource/kind", "pod"), {"action": "delete"})) == set()
}

test_lists_are_refused if {
	list := {"apiVersion": "v1", "kind": "List", "items": [requests.workload.resource]}
	_found(_patched("add", "/resource", list)) == {["resource", "kind"]}
	_found(_patched("add", "/resource", object.union(list, {"kind": "PodList"}))) == {["resource", "kind"]}
	_found(_patched("add", "/resource", object.union(list, {"kind": "Shelf"}))) == {["resource", "kind"]}
	_found(_patched("add", "/resource", object.union(list, {"items": {}}))) == set()
	_found(_patched("add", "/resource", {"apiVersion": "example.com/v1", "kind": "AllowList"})) == set()
	_found(object.union(_patched("add", "/resource", list), {"action": "delete"})) == set()
}

test_a_pod_without_a_spec_or_containers_is_refused if {
	every spec in [null, {}, {"containers": null}, {"containers": []}] {
		_found(_patched("add", "/resource/spec", spec)) == {_spec}
	}
	_found(_patched("add", "/resource/spec", "x")) == {_spec}
	_found(_patched("add", "/resource/spec/containers", {})) == {_spec, array.concat(_spec, ["containers"])}
}

test_a_template_that_is_missing_is_refused if {
	every spec in [null, {}, {"template": null}, {"template": "x"}, {"template": []}] {
		request := json.patch(requests.workload, [
			{"op": "add", "path": "/resource/kind", "value": "Deployment"},
			{"op": "add", "path": "/resource/spec", "value": spec},
		])
		_found(request) == {["resource", "spec", "template", "spec"]}
	}
}

_is_refused_at(segments, value) if {
	pointer := concat("", array.concat(["/resource/spec"], [sprintf("/%v", [segment]) | some segment in segments]))
	_found(_patched("add", pointer, value)) == {array.concat(_spec, segments)}
}

test_members_of_another_type_are_refused_with_their_place if {
	_is_refused_at(["securityContext"], "x")
	_is_refused_at(["hostNetwork"], "true")
	_is_refused_at(["initContainers"], {})
	_is_refused_at(["volumes"], {})
	_is_refused_at(["containers", 0, "securityContext"], [])
	_is_refused_at(["containers", 0, "securityContext", "privileged"], "true")
	_is_refused_at(["containers", 0, "securityContext", "capabilities"], "ALL")
	_is_refused_at(["containers", 0, "securityContext", "capabilities", "drop"], "ALL")
	_is_refused_at(["containers", 0, "name"], 7)
	_is_refused_at(["volumes", 0, "hostPath"], false)
}

test_the_metadata_and_the_spec_are_of_a_type_too if {
	_found(_patched("add", "/resource/metadata", "x")) == {["resource", "metadata"]}
	_found(_patched("add", "/resource/metadata/annotations", "x")) == {["resource", "metadata", "annotations"]}
	_found(_patched("add", "/resource/metadata/annotations", {"a": 1})) == {["resource", "metadata", "annotations", "a"]}
}

test_nested_members_are_looked_at if {
	container := {"name": "web", "livenessProbe": {"httpGet": {"host": 7}}, "lifecycle": {"preStop": {"tcpSocket": {"host": {}}}}}
	place := array.concat(_spec, ["containers", 0])
	_found(_patched("add", "/resource/spec/containers", [container])) == {
		array.concat(place, ["livenessProbe", "httpGet", "host"]),
		array.concat(place, ["lifecycle", "preStop", "tcpSocket", "host"]),
	}
}

test_what_stands_in_lists_is_looked_at if {
	_found(_patched("add", "/resource/spec/containers/-", "x")) == {array.concat(_spec, ["containers", 1])}
	_found(_patched("add", "/resource/spec/volumes/-", null)) == {array.concat(_spec, ["volumes", 1])}
	_found(_patched("add", "/resource/spec/containers/0/ports", ["x"])) == {array.concat(_spec, ["containers", 0, "ports", 0])}
	_found(_patched("add", "/resource/spec/containers/0/securityContext/capabilities/drop/-", 7)) == {array.concat(_spec, ["containers", 0, "securityContext", "capabilities", "drop", 1])}
	_found(_patched("add", "/resource/spec/securityContext/sysctls", [{"name": 7}])) == {array.concat(_spec, ["securityContext", "sysctls", 0, "name"])}
}

test_null_is_the_same_as_nothing if {
	_found(_patched("add", "/resource/spec/containers/0/securityContext/capabilities/drop", null)) == set()
	_found(_patched("add", "/resource/spec/initContainers", null)) == set()
}

test_what_goes_away_is_not_read if {
	request := json.patch(requests.workload, [
		{"op": "add", "path": "/action", "value": "delete"},
		{"op": "add", "path": "/resource/spec/hostNetwork", "value": "x"},
		{"op": "add", "path": "/resource/spec/containers", "value": []},
		{"op": "add", "path": "/resource/spec/volumes", "value": ["x"]},
	])
	_found(request) == set()
}
