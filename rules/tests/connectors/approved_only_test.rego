package tests.connectors.approved_only_test

import data.platform.rules.connectors.approved_only
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in approved_only.deny} with input as request
}

test_approved_connectors_pass if {
	_places(requests.deploy) == set()
}

test_an_unapproved_connector_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/state", "proposed")
	_places(requests.without(request, "/facts/connectors/0/approvals")) == {["app", "connectors", 0, "name"]}
}

test_a_proposed_connector_that_both_have_agreed_to_passes if {
	_places(requests.changed(requests.deploy, "/facts/connectors/0/state", "proposed")) == set()
}

test_no_approval_brings_back_a_retired_connector if {
	_places(requests.changed(requests.deploy, "/facts/connectors/0/state", "retired")) == {["app", "connectors", 0, "name"]}
}

test_a_template_may_not_name_an_unapproved_connector_either if {
	request := requests.changed(requests.template, "/facts/connectors/1/state", "retired")
	_places(request) == {["app", "connectors", 1, "name"]}
}

test_a_call_to_an_unknown_connector_is_refused if {
	request := requests.changed(requests.connector_call, "/resource/connector", "ftp-dump")
	_places(request) == {["resource", "connector"]}
}

test_a_call_without_a_connector_is_refused if {
	_places(requests.without(requests.connector_call, "/resource/connector")) == {["resource", "connector"]}
}

test_a_flow_to_an_unknown_connector_is_refused if {
	request := requests.changed(requests.data_flow, "/resource/destination/connector", "ftp-dump")
	_places(request) == {["resource", "destination", "connector"]}
}

test_no_facts_means_nothing_is_approved if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_a_connector_in_words_is_not_approved if {
	_places(requests.changed(requests.deploy, "/app/connectors", ["hris"])) == {["app", "connectors", 0, "name"]}
}

test_a_connector_without_a_name_is_not_approved if {
	_places(requests.without(requests.deploy, "/app/connectors/1/name")) == {["app", "connectors", 1, "name"]}
}

test_a_deprecated_connector_still_counts_as_approved if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/state", "deprecated")
	_places(request) == set()
}
