package tests.oauth.scope_known_test

import data.platform.rules.oauth.scope_known
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in scope_known.deny} with input as request
}

test_registered_scopes_pass if {
	_places(requests.deploy) == set()
}

test_an_unknown_scope_is_named_with_its_path if {
	request := requests.changed(requests.deploy, "/app/connectors/0/scopes", ["employees:read", "salaries:read"])
	_places(request) == {["app", "connectors", 0, "scopes", 1]}
}

test_a_scope_of_another_connector_is_unknown if {
	request := requests.changed(requests.template, "/app/connectors/1/scopes", ["employees:read"])
	_places(request) == {["app", "connectors", 1, "scopes", 0]}
}

test_a_call_with_an_unknown_scope_is_refused if {
	_places(requests.changed(requests.connector_call, "/resource/scopes", ["*"])) == {["resource", "scopes", 0]}
}

test_a_call_to_nobody_has_no_scopes if {
	_places(requests.without(requests.connector_call, "/resource/connector")) == {["resource", "scopes", 0]}
}

test_no_facts_means_no_scope_is_known if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "scopes", 0], ["app", "connectors", 1, "scopes", 0]}
}

test_a_call_is_not_judged_by_what_its_app_asked_for if {
	request := requests.changed(requests.connector_call, "/app/connectors/0/scopes", ["unknown"])
	_places(request) == set()
}

test_a_deploy_is_not_judged_by_what_a_call_would_hold if {
	_places(requests.extended(requests.deploy, "/resource/scopes", ["unknown"])) == set()
}
