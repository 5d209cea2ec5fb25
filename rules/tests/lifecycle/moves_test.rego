package tests.lifecycle.moves_test

import data.platform.rules.lifecycle.moves
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in moves.deny} with input as request
}

test_a_known_move_passes if {
	_places(requests.lifecycle) == set()
}

test_an_unknown_move_is_refused if {
	request := requests.changed(requests.changed(requests.lifecycle, "/facts/app/state", "archived"), "/resource/change", {"to": "idle"})
	_places(request) == {["resource", "change", "to"]}
}

test_a_state_that_nobody_knows_cannot_be_reached if {
	_places(requests.changed(requests.lifecycle, "/resource/change/to", "golden")) == {["resource", "change", "to"]}
}

test_a_change_from_another_state_is_out_of_date if {
	_places(requests.changed(requests.lifecycle, "/resource/change/from", "idle")) == {["resource", "change", "from"]}
}

test_a_change_may_leave_out_where_it_starts if {
	_places(requests.without(requests.lifecycle, "/resource/change/from")) == set()
}

test_an_app_in_an_unknown_state_does_not_move if {
	request := requests.changed(requests.without(requests.lifecycle, "/resource/change/from"), "/facts/app/state", "lost")
	_places(request) == {["resource", "change", "to"]}
}

test_no_facts_means_no_move if {
	_places(requests.without(requests.lifecycle, "/facts")) == {["resource", "change", "to"], ["resource", "change", "from"]}
}
