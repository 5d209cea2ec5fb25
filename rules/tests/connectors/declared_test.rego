package tests.connectors.declared_test

import data.platform.rules.connectors.declared
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared.deny} with input as request
}

test_a_call_to_a_declared_connector_passes if {
	_places(requests.connector_call) == set()
}

test_a_call_to_another_connector_is_refused if {
	request := requests.changed(requests.connector_call, "/resource/connector", "salesforce")
	_places(request) == {["resource", "connector"]}
}

test_a_flow_to_another_connector_is_refused if {
	request := requests.changed(requests.data_flow, "/resource/destination/connector", "slack")
	_places(request) == {["resource", "destination", "connector"]}
}

test_an_app_that_nobody_knows_has_declared_nothing if {
	_places(requests.without(requests.connector_call, "/app")) == {["resource", "connector"]}
}

test_a_flow_to_an_address_goes_by_the_connector_that_owns_its_host if {
	_places(requests.flow_to_url) == set()
	_places(requests.changed(requests.flow_to_url, "/app/connectors/1/name", "slack")) == {["resource", "destination", "url"]}
}

test_an_answer_comes_from_a_connector_of_the_app if {
	_places(requests.answer) == set()
	_places(requests.changed(requests.answer, "/resource/source", "slack")) == {["resource", "source"]}
}
