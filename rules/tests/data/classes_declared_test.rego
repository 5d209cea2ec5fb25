package tests.data.classes_declared_test

import data.platform.rules.data.classes_declared
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in classes_declared.deny} with input as request
}

test_declared_classes_pass if {
	_places(requests.deploy) == set()
}

test_a_class_of_a_connector_that_is_not_declared_is_refused if {
	_places(requests.changed(requests.deploy, "/app/data/classes", ["internal"])) == {["app", "data", "classes"]}
}

test_a_template_declares_them_as_well if {
	request := requests.changed(requests.template, "/facts/connectors/1/data_classes", ["financial"])
	_places(request) == {["app", "data", "classes"]}
}

test_a_manifest_without_classes_declares_none if {
	_places(requests.without(requests.deploy, "/app/data")) == {["app", "data", "classes"]}
}

test_harmless_classes_need_not_be_declared if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/data_classes", ["public", "internal"])
	_places(request) == set()
}

test_more_classes_than_the_connectors_hold_do_no_harm if {
	request := requests.changed(requests.deploy, "/app/data/classes", ["internal", "personal", "public"])
	_places(request) == set()
}

test_without_facts_nobody_knows_what_a_connector_holds_and_approval_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_what_a_connector_holds_that_the_app_does_not_use_is_not_asked_for if {
	request := requests.changed(requests.without(requests.deploy, "/app/connectors/1"), "/facts/connectors/1/data_classes", ["financial"])
	_places(request) == set()
}
