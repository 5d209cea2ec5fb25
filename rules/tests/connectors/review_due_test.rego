package tests.connectors.review_due_test

import data.platform.rules.connectors.review_due
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in review_due.deny} with input as request
}

_said(request) := messages if {
	messages := {v.message | some v in review_due.deny} with input as request
}

_hris := ["app", "connectors", 0, "name"]

_by(request, day) := requests.changed(request, "/facts/connectors/0/review_by", day)

test_a_day_that_is_far_away_is_no_finding if {
	_places(requests.deploy) == set()
	_places(requests.connector_call) == set()
	_places(requests.data_flow) == set()
	_places(requests.consent) == set()
}

test_thirty_days_before_it_is_said if {
	_places(_by(requests.deploy, "2026-12-23")) == {_hris}
	_places(_by(requests.deploy, "2026-12-24")) == set()
	_said(_by(requests.consent, "2026-12-23")) == {`The connector "hris" is to be reviewed by "2026-12-23".`}
}

test_calls_are_not_told_before_the_day_is_over if {
	_places(_by(requests.connector_call, "2026-11-24")) == set()
	_places(_by(requests.connector_call, "2026-11-23")) == {["resource", "connector"]}
}

test_the_day_itself_is_still_good if {
	_said(_by(requests.deploy, "2026-11-24")) == {`The connector "hris" is to be reviewed by "2026-11-24".`}
	_said(_by(requests.deploy, "2026-11-23")) == {`The connector "hris" was to be reviewed by "2026-11-23", and has not been.`}
}

test_where_data_goes_is_looked_at_as_well if {
	_places(requests.changed(requests.data_flow, "/facts/connectors/1/review_by", "2026-01-01")) == {["resource", "destination", "connector"]}
}

test_a_day_that_nobody_can_read_is_over if {
	every day in ["", "soon", "2027-6-30", null, 20270630] {
		_places(_by(requests.deploy, day)) == {_hris}
	}
	_places(requests.without(requests.deploy, "/facts/connectors/0/review_by")) == {_hris}
}

test_without_a_clock_every_day_is_over if {
	count(_places(requests.without(requests.deploy, "/now"))) == 2
}

test_no_facts_are_another_rules_matter if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_what_comes_with_the_program_is_reviewed_with_its_releases if {
	every day in ["2026-12-01", "2026-11-23"] {
		_places(requests.changed(_by(requests.deploy, day), "/facts/connectors/0/digest", data.platform.connectors.shipped.hris)) == set()
		_places(requests.changed(_by(requests.deploy, day), "/facts/connectors/0/digest", data.platform.connectors.shipped.slack)) == {_hris}
	}
}
