package tests.template.extra_connectors_test

import data.platform.rules.template.extra_connectors
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in extra_connectors.deny} with input as request
}

test_the_template_s_connectors_pass if {
	_places(requests.deploy) == set()
}

test_a_further_connector_waits_for_an_approval if {
	request := requests.changed(requests.deploy, "/facts/template/spec/connectors", [{"name": "recommender"}])
	_places(request) == {["app", "connectors", 0]}
}

test_an_approval_of_the_platform_team_is_enough if {
	request := requests.approved_by(requests.changed(requests.deploy, "/facts/template/spec/connectors", []), "engineer@example.com", "platform")
	_places(request) == set()
}

test_an_unknown_template_has_no_connectors if {
	_places(requests.changed(requests.deploy, "/facts/template/known", false)) == {["app", "connectors", 0], ["app", "connectors", 1]}
}

test_no_facts_means_the_template_has_none if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0], ["app", "connectors", 1]}
}

test_an_app_with_fewer_connectors_passes if {
	_places(requests.without(requests.deploy, "/app/connectors/0")) == set()
}
