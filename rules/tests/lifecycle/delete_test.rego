package tests.lifecycle.delete_test

import data.platform.rules.lifecycle.delete
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in delete.deny} with input as request
}

test_other_moves_pass if {
	_places(requests.lifecycle) == set()
}

test_an_app_may_be_deleted_after_its_time_in_the_archive if {
	request := requests.changed(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts/app/state_since", "2026-10-25T09:00:00Z")
	_places(request) == set()
}

test_an_app_may_not_be_deleted_a_second_earlier if {
	request := requests.changed(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts/app/state_since", "2026-10-25T09:00:01Z")
	_places(request) == {["resource", "change", "to"]}
}

test_a_legal_hold_forbids_it if {
	request := requests.changed(requests.changed(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts/app/state_since", "2026-01-01T00:00:00Z"), "/facts/app/legal_hold", true)
	_places(request) == {["resource", "change", "to"]}
}

test_a_hold_that_nobody_can_rule_out_forbids_it if {
	request := requests.without(requests.changed(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts/app/state_since", "2026-01-01T00:00:00Z"), "/facts/app/legal_hold")
	_places(request) == {["resource", "change", "to"]}
}

test_no_facts_forbid_it if {
	request := requests.without(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts")
	_places(request) == {["resource", "change", "to"]}
}

test_without_a_clock_nothing_has_rested_long_enough if {
	request := requests.without(requests.changed(requests.changed(requests.lifecycle, "/resource/change/to", "deleted"), "/facts/app/state_since", "2026-01-01T00:00:00Z"), "/now")
	_places(request) == {["resource", "change", "to"]}
}

test_other_moves_pass_under_a_legal_hold if {
	_places(requests.changed(requests.lifecycle, "/facts/app/legal_hold", true)) == set()
}
