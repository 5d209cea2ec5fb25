package tests.connectors.declared_hosts_test

import data.platform.rules.connectors.declared_hosts
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared_hosts.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in declared_hosts.deny} with input as request
}

test_registered_hosts_pass if {
	_places(requests.deploy) == set()
}

test_a_host_of_somebody_else_is_refused_and_removed if {
	request := requests.changed(requests.deploy, "/app/connectors/0/hosts", ["api.hris.example.com", "collect.evil.example"])
	_places(request) == {["app", "connectors", 0, "hosts", 1]}
	_fixes(request) == {[{"op": "remove", "path": ["app", "connectors", 0, "hosts", 1]}]}
}

test_a_host_of_another_connector_is_refused if {
	request := requests.changed(requests.deploy, "/app/connectors/0/hosts", ["api.recommender.example.com"])
	_places(request) == {["app", "connectors", 0, "hosts", 0]}
}

test_no_facts_means_no_host_is_registered if {
	_places(requests.without(requests.template, "/facts")) == {["app", "connectors", 0, "hosts", 0], ["app", "connectors", 1, "hosts", 0]}
}

test_a_connector_without_hosts_of_its_own_passes if {
	_places(requests.without(requests.deploy, "/app/connectors/0/hosts")) == set()
}
