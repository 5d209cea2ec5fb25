package tests.connectors.review_overdue_test

import data.platform.rules.connectors.review_overdue
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in review_overdue.deny} with input as request
}

_hris := ["app", "connectors", 0, "name"]

_by(request, day) := requests.changed(request, "/facts/connectors/0/review_by", day)

test_before_its_day_is_over_it_may_be_used if {
	_places(requests.deploy) == set()
	_places(requests.consent) == set()
	_places(_by(requests.deploy, "2026-11-24")) == set()
}

test_afterwards_nobody_begins_to_use_it if {
	_places(_by(requests.deploy, "2026-11-23")) == {_hris}
	_places(_by(requests.template, "2026-11-23")) == {_hris}
	_places(_by(requests.consent, "2026-11-23")) == {["resource", "connector"]}
}

test_a_day_that_nobody_can_read_is_over if {
	_places(_by(requests.deploy, "soon")) == {_hris}
	_places(requests.without(requests.deploy, "/facts/connectors/0/review_by")) == {_hris}
}

test_what_comes_with_the_program_is_reviewed_with_its_releases if {
	late := _by(requests.deploy, "2026-11-23")
	_places(requests.changed(late, "/facts/connectors/0/digest", data.platform.connectors.shipped.hris)) == set()
	_places(requests.changed(late, "/facts/connectors/0/digest", data.platform.connectors.shipped.slack)) == {_hris}
}

test_no_facts_are_another_rules_matter if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
