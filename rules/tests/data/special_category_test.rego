package tests.data.special_category_test

import data.platform.rules.data.special_category
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in special_category.deny} with input as request
}

test_ordinary_classes_pass if {
	_places(requests.deploy) == set()
}

test_special_categories_wait_for_an_approval if {
	request := requests.changed(requests.deploy, "/app/data/classes", ["internal", "special"])
	_places(request) == {["app", "data", "classes", 1]}
}

test_an_approval_of_the_compliance_team_is_enough if {
	request := requests.approved_by(requests.changed(requests.template, "/app/data/classes", ["special"]), "officer@example.com", "compliance")
	_places(request) == set()
}

test_an_approval_of_another_role_is_not if {
	request := requests.approved_by(requests.changed(requests.deploy, "/app/data/classes", ["special"]), "peer@example.com", "platform")
	_places(request) == {["app", "data", "classes", 0]}
}

test_an_own_approval_does_not_count if {
	request := requests.approved_by(requests.changed(requests.deploy, "/app/data/classes", ["special"]), "lead@example.com", "compliance")
	_places(request) == {["app", "data", "classes", 0]}
}

test_an_expired_approval_does_not_count if {
	request := requests.changed(requests.approved_by(requests.changed(requests.deploy, "/app/data/classes", ["special"]), "officer@example.com", "compliance"), "/facts/approvals/0/expires_at", "2026-11-24T09:00:00Z")
	_places(request) == {["app", "data", "classes", 0]}
}

test_no_facts_means_nothing_was_approved if {
	request := requests.without(requests.changed(requests.deploy, "/app/data/classes", ["special"]), "/facts")
	_places(request) == {["app", "data", "classes", 0]}
}
