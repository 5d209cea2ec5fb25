package tests.review.findings_test

import data.platform.rules.review.findings
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in findings.deny} with input as request
}

test_minor_findings_pass if {
	request := requests.extended(requests.deploy, "/facts/review", {"status": "done", "findings": [{"pointer": "/spec", "severity": "low"}]})
	_places(request) == set()
}

test_a_serious_finding_waits_for_a_person if {
	request := requests.extended(requests.deploy, "/facts/review", {"status": "done", "findings": [{"pointer": "/spec/config", "severity": "high"}]})
	_places(request) == {["resource", "spec", "config"]}
}

test_a_finding_without_a_rating_counts_as_serious if {
	request := requests.extended(requests.template, "/facts/review", {"status": "done", "findings": [{}]})
	_places(request) == {["resource"]}
}

test_an_approval_of_the_platform_team_is_enough if {
	request := requests.approved_by(requests.extended(requests.publish, "/facts/review", {"status": "done", "findings": [{}]}), "engineer@example.com", "platform")
	_places(request) == set()
}

test_without_facts_there_are_no_findings_and_the_request_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
