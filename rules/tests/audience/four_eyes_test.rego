package tests.audience.four_eyes_test

import data.platform.rules.audience.four_eyes
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in four_eyes.deny} with input as request
}

test_a_change_without_approvals_passes if {
	_places(requests.deploy) == set()
}

test_an_approval_by_somebody_else_passes if {
	request := requests.approved_by(requests.publish, "officer@example.com", "compliance")
	_places(request) == set()
}

test_an_approval_by_the_person_who_asks_is_refused if {
	request := requests.approved_by(requests.changed(requests.publish, "/subject/id", "officer@example.com"), "officer@example.com", "compliance")
	_places(request) == {["facts", "approvals"]}
}

test_an_approval_by_the_owner_is_refused if {
	request := requests.approved_by(requests.changed(requests.deploy, "/subject/id", "peer@example.com"), "lead@example.com", "platform")
	_places(request) == {["facts", "approvals"]}
}

test_an_approval_by_nobody_is_refused if {
	request := requests.without(requests.approved_by(requests.lifecycle, "x", "platform"), "/facts/approvals/0/by")
	_places(request) == {["facts", "approvals"]}
}

test_without_facts_there_is_no_approval_to_refuse if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
