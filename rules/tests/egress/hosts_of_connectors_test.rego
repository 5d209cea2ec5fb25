package tests.egress.hosts_of_connectors_test

import data.platform.rules.egress.hosts_of_connectors
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in hosts_of_connectors.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in hosts_of_connectors.deny} with input as request
}

test_connector_hosts_pass if {
	_places(requests.deploy) == set()
}

test_a_host_of_nobody_is_refused_and_removed if {
	request := requests.extended(requests.deploy, "/app/egress/0", "collect.evil.example")
	_places(request) == {["app", "egress", 0]}
	_fixes(request) == {[{"op": "remove", "path": ["app", "egress", 0]}]}
}

test_a_host_of_a_connector_that_the_app_does_not_use_is_refused if {
	_places(requests.without(requests.deploy, "/app/connectors/1")) == {["app", "egress", 1]}
}

test_a_host_that_is_no_text_is_refused if {
	_places(requests.changed(requests.template, "/app/egress", [7])) == {["app", "egress", 0]}
}

test_no_facts_means_no_host_is_reachable if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "egress", 0], ["app", "egress", 1]}
}

test_an_empty_list_passes if {
	_places(requests.changed(requests.deploy, "/app/egress", [])) == set()
}
