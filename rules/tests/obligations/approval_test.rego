package tests.obligations.approval_test

import data.platform.obligations.approval
import data.tests.lib.requests

_values(request) := values if {
	values := approval.oblige with input as request
}

test_nothing_waits if {
	_values(requests.deploy) == set()
}

test_a_wide_audience_waits_for_the_compliance_team if {
	request := requests.changed(requests.publish, "/resource/change/audience", "tenant")
	_values(request) == {{"role": "compliance", "path": ["resource", "change", "audience"]}}
}

test_special_categories_wait_for_the_compliance_team if {
	_values(requests.changed(requests.template, "/app/data/classes", ["special"])) == {{"role": "compliance", "path": ["app", "data", "classes", 0]}}
}

test_a_further_connector_waits_for_the_platform_team if {
	request := requests.changed(requests.deploy, "/facts/template/spec/connectors", [{"name": "recommender"}])
	_values(request) == {{"role": "platform", "path": ["app", "connectors", 0]}}
}

test_a_failed_review_waits_for_the_platform_team if {
	_values(requests.changed(requests.deploy, "/facts/unavailable", ["review"])) == {{"role": "platform", "path": ["facts", "review"]}}
}

test_a_serious_finding_waits_for_the_platform_team if {
	request := requests.extended(requests.deploy, "/facts/review", {"status": "done", "findings": [{}]})
	_values(request) == {{"role": "platform", "path": ["resource"]}}
}

test_a_publish_step_does_not_wait_for_what_its_deploy_waited_for if {
	_values(requests.changed(requests.publish, "/app/data/classes", ["special"])) == set()
}
