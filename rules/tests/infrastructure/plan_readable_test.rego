package tests.infrastructure.plan_readable_test

import data.platform.rules.infrastructure.plan_readable
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in plan_readable.deny} with input as request
}

test_a_whole_plan_passes if {
	_places(requests.infrastructure) == set()
}

test_a_plan_without_changes_passes if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes")) == set()
}

test_what_is_taken_away_needs_no_after if {
	_places(requests.changed(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/actions", ["delete"]), "/resource/resource_changes/0/change/after", null)) == set()
}

test_another_format_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/format_version", "2.0")) == {["resource", "format_version"]}
}

test_a_format_that_is_no_text_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/format_version", 1)) == {["resource", "format_version"]}
}

test_a_missing_resource_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource")) == {["resource", "format_version"]}
}

test_a_plan_with_errors_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/errored", true)) == {["resource", "errored"]}
}

test_half_a_plan_is_refused if {
	_places(requests.extended(requests.infrastructure, "/resource/complete", false)) == {["resource", "complete"]}
}

test_changes_that_are_no_list_are_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes", {})) == {["resource", "resource_changes"]}
}

test_a_change_that_is_no_object_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0", 7)) == {["resource", "resource_changes", 0]}
}

test_a_change_of_nothing_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes/0/type")) == {["resource", "resource_changes", 0]}
}

test_a_change_without_actions_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/actions", [])) == {["resource", "resource_changes", 0]}
}

test_a_change_without_an_after_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes/0/change/after")) == {["resource", "resource_changes", 0]}
}

test_replacing_is_not_taking_away if {
	_places(requests.changed(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/actions", ["delete", "create"]), "/resource/resource_changes/0/change/after", null)) == {["resource", "resource_changes", 0]}
}

test_facts_change_nothing_about_a_plan if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
