package tests.data.source_class_test

import data.platform.rules.data.source_class
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in source_class.deny} with input as request
}

_source := {["resource", "source"]}

_holding(classes) := requests.changed(requests.data_flow, "/facts/connectors/0/data_classes", classes)

test_a_source_of_personal_data_passes_since_what_is_found_is_masked if {
	_places(requests.data_flow) == set()
	_places(_holding(["public", "internal", "personal", "financial"])) == set()
}

test_a_source_of_a_bound_class_is_refused_unless_the_destination_is_cleared if {
	every class in ["confidential", "restricted", "special"] {
		_places(_holding(["internal", class])) == _source
		_places(requests.changed(_holding([class]), "/facts/connectors/1/data_classes", [class])) == set()
	}
}

test_one_class_does_not_clear_another if {
	_places(requests.changed(_holding(["restricted"]), "/facts/connectors/1/data_classes", ["confidential"])) == _source
}

test_an_address_is_cleared_as_its_connector_is if {
	request := requests.changed(requests.flow_to_url, "/facts/connectors/0/data_classes", ["restricted"])
	_places(request) == _source
	_places(requests.changed(request, "/facts/connectors/1/data_classes", ["restricted"])) == set()
	_places(requests.changed(request, "/facts/url/host", "collect.evil.example")) == _source
}

test_a_source_that_is_no_connector_has_the_app_s_classes if {
	form := requests.changed(requests.data_flow, "/resource/source", "form")
	_places(form) == set()
	_places(requests.changed(form, "/app/data/classes", ["restricted"])) == _source
}

test_a_retired_source_has_the_app_s_classes if {
	retired := requests.changed(_holding(["public"]), "/facts/connectors/0/state", "retired")
	_places(requests.changed(retired, "/app/data/classes", ["confidential"])) == _source
}

test_an_answer_goes_to_an_app_that_declared_the_class if {
	request := requests.changed(requests.answer, "/facts/connectors/0/data_classes", ["confidential"])
	_places(request) == _source
	_places(requests.changed(request, "/app/data/classes", ["confidential"])) == set()
}

test_a_flow_elsewhere_is_no_answer if {
	request := requests.changed(_holding(["confidential"]), "/app/data/classes", ["confidential"])
	_places(request) == _source
}

test_a_source_of_which_nobody_knows_the_classes_is_refused if {
	_places(_holding([])) == _source
	_places(requests.without(requests.without(requests.data_flow, "/resource/source"), "/app/data")) == _source
}

test_no_facts_and_no_app_mean_no_known_class if {
	_places(requests.without(requests.without(requests.data_flow, "/facts"), "/app")) == _source
}
