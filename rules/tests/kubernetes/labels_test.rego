package tests.kubernetes.labels_test

import data.platform.rules.kubernetes.labels
import data.tests.lib.requests
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in labels.deny} with input as request
}

_place(label) := ["resource", "metadata", "labels", concat("/", ["microapps.internal", label])]

_labelled(changes) := object.union(requests.workload, {"resource": {"metadata": {"labels": {concat("/", ["microapps.internal", name]): value | some name, value in changes}}}})

test_all_labels_pass if {
	_found(requests.workload) == set()
}

test_each_label_that_is_missing_is_named if {
	_found(_labelled({"tenant": ""})) == {_place("tenant")}
	_found(_labelled({"app": null})) == {_place("app")}
	_found(_labelled({"cost-center": 7})) == {_place("cost-center")}
	_found(requests.without(requests.workload, "/resource/metadata/labels")) == {_place(name) | some name in ["tenant", "app", "cost-center"]}
}

test_somebody_elses_cost_center_is_refused if {
	_found(_labelled({"cost-center": "HR-10"})) == {_place("cost-center")}
}

test_without_facts_no_cost_center_is_known if {
	_found(requests.without(requests.workload, "/facts")) == {_place("cost-center")}
}

test_the_pod_template_has_them_too if {
	good := workloads.within(requests.workload, "Deployment", ["template"])
	_found(good) == set()
	outside := requests.without(good, "/resource/metadata/labels")
	_found(outside) == {_place(name) | some name in ["tenant", "app", "cost-center"]}
	bare := requests.without(good, "/resource/spec/template/metadata/labels")
	_found(bare) == {["resource", "spec", "template", "metadata", "labels", concat("/", ["microapps.internal", name])] |
		some name in ["tenant", "app", "cost-center"]
	}
}

test_what_goes_away_is_not_judged if {
	_found(object.union(_labelled({"app": "", "cost-center": "HR-10"}), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	request := _labelled({"app": "", "cost-center": "HR-10"})
	weights := {v.effect | some v in labels.deny} with input as object.union(request, {"context": {"profile": "baseline"}})
	weights == {"warn"}
	alone := {v.effect | some v in labels.deny} with input as request
	alone == {"deny"}
}
