package tests.data.retention_test

import data.platform.rules.data.retention
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in retention.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in retention.deny} with input as request
}

test_a_retention_at_the_limit_passes if {
	_places(requests.deploy) == set()
}

test_a_retention_above_the_limit_is_refused_and_lowered_to_it if {
	_places(requests.changed(requests.deploy, "/app/data/retention", "P365D")) == {["app", "data", "retention"]}
	_fixes(requests.changed(requests.deploy, "/app/data/retention", "P365D")) == {[{"op": "add", "path": ["app", "data", "retention"], "value": "P30D"}]}
}

test_a_month_is_counted_as_its_longest_and_is_over_thirty_days if {
	_places(requests.changed(requests.template, "/app/data/retention", "P1M")) == {["app", "data", "retention"]}
}

test_weeks_and_hours_are_read_as_well if {
	_places(requests.changed(requests.deploy, "/app/data/retention", "P4WT48H")) == set()
}

test_one_second_too_long_is_too_long if {
	_places(requests.changed(requests.deploy, "/app/data/retention", "P30DT1S")) == {["app", "data", "retention"]}
}

test_the_strictest_class_decides if {
	request := requests.changed(requests.deploy, "/app/data/classes", ["personal", "special"])
	_places(request) == {["app", "data", "retention"]}
	_fixes(request) == {[{"op": "add", "path": ["app", "data", "retention"], "value": "P14D"}]}
}

test_a_missing_retention_is_refused if {
	_places(requests.without(requests.deploy, "/app/data/retention")) == {["app", "data", "retention"]}
}

test_words_are_no_retention if {
	_places(requests.changed(requests.deploy, "/app/data/retention", "forever")) == {["app", "data", "retention"]}
}

test_a_number_is_no_retention if {
	_places(requests.changed(requests.deploy, "/app/data/retention", 30)) == {["app", "data", "retention"]}
}

test_nothing_at_all_is_no_retention if {
	_places(requests.changed(requests.deploy, "/app/data/retention", "P")) == {["app", "data", "retention"]}
}

test_a_class_that_is_no_text_is_no_known_class if {
	_places(requests.changed(requests.deploy, "/app/data/classes", [null])) == {["app", "data", "retention"]}
}

test_without_a_known_class_no_duration_is_short_enough if {
	_places(requests.changed(requests.deploy, "/app/data/classes", ["secret"])) == {["app", "data", "retention"]}
}

test_facts_change_nothing_about_retention if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
