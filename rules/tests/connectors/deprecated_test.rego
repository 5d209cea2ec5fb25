package tests.connectors.deprecated_test

import data.platform.rules.connectors.deprecated
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in deprecated.deny} with input as request
}

test_approved_connectors_bring_no_warning if {
	_places(requests.deploy) == set()
}

test_a_deprecated_connector_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/state", "deprecated")
	_places(request) == {["app", "connectors", 1, "name"]}
}

test_a_call_to_a_deprecated_connector_warns if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/state", "deprecated")
	_places(request) == {["resource", "connector"]}
}

test_an_unknown_state_is_no_deprecation_and_is_refused_elsewhere if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/state", "unknown")
	_places(request) == set()
}

test_without_facts_nothing_is_known_to_be_deprecated if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
