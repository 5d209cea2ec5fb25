package tests.review.missing_test

import data.platform.rules.review.missing
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in missing.deny} with input as request
}

test_nobody_asked_for_a_review if {
	_places(requests.deploy) == set()
}

test_a_finished_review_passes if {
	request := requests.extended(requests.deploy, "/facts/review", {"status": "done", "findings": []})
	_places(request) == set()
}

test_a_review_that_failed_waits_for_a_person if {
	_places(requests.changed(requests.deploy, "/facts/unavailable", ["review"])) == {["facts", "review"]}
}

test_a_review_without_a_status_waits_for_a_person if {
	_places(requests.extended(requests.template, "/facts/review", {})) == {["facts", "review"]}
}

test_an_approval_of_the_platform_team_is_enough if {
	request := requests.approved_by(requests.changed(requests.publish, "/facts/unavailable", ["review"]), "engineer@example.com", "platform")
	_places(request) == set()
}

test_without_facts_the_request_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
