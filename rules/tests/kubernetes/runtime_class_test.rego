package tests.kubernetes.runtime_class_test

import data.platform.rules.kubernetes.runtime_class
import data.tests.lib.requests
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in runtime_class.deny} with input as request
}

_place := workloads.in_spec(["runtimeClassName"])

_class(name) := {"/runtimeClassName": name}

test_a_class_for_every_tenant_passes if {
	_found(workloads.changed({})) == set()
	_found(workloads.changed(_class("microvm"))) == set()
}

test_others_and_none_are_refused if {
	every name in ["runc", "", null, 7] {
		_found(workloads.changed(_class(name))) == {_place}
	}
	_found(requests.without(requests.workload, "/resource/spec/runtimeClassName")) == {_place}
}

test_a_tenant_may_have_classes_of_its_own if {
	_found(object.union(workloads.changed(_class("microvm")), {"tenant": "hr"})) == set()
	_found(object.union(workloads.changed(_class("gvisor")), {"tenant": "hr"})) == {_place}
}

test_a_tenant_that_is_no_text_has_what_every_tenant_has if {
	every tenant in [[], ["hr"], null, {}] {
		_found(object.union(workloads.changed(_class("runc")), {"tenant": tenant})) == {_place}
	}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_class("runc")), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in runtime_class.deny} with input as workloads.asked("restricted", "latest", _class("runc"))
	weights == {"warn"}
	alone := {v.effect | some v in runtime_class.deny} with input as workloads.changed(_class("runc"))
	alone == {"deny"}
}
