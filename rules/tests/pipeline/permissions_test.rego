package tests.pipeline.permissions_test

import data.platform.rules.pipeline.permissions
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in permissions.deny} with input as request
}

test_permissions_by_scope_pass if {
	_places(requests.pipeline) == set()
}

test_reading_everything_passes if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", "read-all")) == set()
}

test_none_at_all_pass if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", {})) == set()
}

test_everything_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", "write-all")) == {["resource", "permissions"]}
}

test_a_level_that_is_none_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", {"contents": "admin"})) == {["resource", "permissions"]}
}

test_permissions_that_are_a_list_are_refused if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", ["contents"])) == {["resource", "permissions"]}
}

test_levels_without_scopes_are_refused if {
	_places(requests.changed(requests.pipeline, "/resource/permissions", ["read"])) == {["resource", "permissions"]}
}

test_nothing_said_is_refused_at_the_job if {
	_places(requests.without(requests.pipeline, "/resource/permissions")) == {["resource", "jobs", "test"]}
}

test_a_job_may_say_it_itself if {
	_places(requests.extended(requests.without(requests.pipeline, "/resource/permissions"), "/resource/jobs/test/permissions", {"contents": "read", "id-token": "write"})) == set()
}

test_a_job_s_own_word_counts_more if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/permissions", "write-all")) == {["resource", "jobs", "test", "permissions"]}
}

test_a_job_that_is_no_object_has_none if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test", 7)) == set()
}

test_facts_change_nothing_about_permissions if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}
