package tests.pipeline.untrusted_checkout_test

import data.platform.rules.pipeline.untrusted_checkout
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in untrusted_checkout.deny} with input as request
}

test_a_pull_request_may_fetch_itself if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ github.event.pull_request.head.sha }}"})) == set()
}

test_a_privileged_run_may_fetch_its_own_branch if {
	_places(requests.changed(requests.pipeline, "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == set()
}

test_a_privileged_run_may_not_fetch_the_head if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ github.event.pull_request.head.sha }}"}), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 0]}
}

test_another_way_to_write_it_is_refused if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ GitHub.Head_Ref }}"}), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 0]}
}

test_the_number_of_a_pull_request_leads_there_too if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "refs/pull/${{ github.event.number }}/merge"}), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 0]}
}

test_a_list_of_triggers_counts if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ github.event.pull_request.head.sha }}"}), "/resource/on", ["push", "workflow_run"])) == {["resource", "jobs", "test", "steps", 0]}
}

test_one_trigger_counts if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ github.event.pull_request.head.sha }}"}), "/resource/on", "issue_comment")) == {["resource", "jobs", "test", "steps", 0]}
}

test_a_command_that_fetches_it_is_refused if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "git fetch origin ${{ github.event.pull_request.head.sha }}"), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 1]}
}

test_a_command_that_fetches_the_own_branch_passes if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "git fetch origin main"), "/resource/on", {"pull_request_target": null})) == set()
}

test_a_head_that_no_action_is_handed_fetches_nothing if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1", {"run": "make", "with": {"x": "refs/pull/1"}}), "/resource/on", "pull_request_target")) == set()
}

test_a_variable_is_no_way_round if {
	_places(requests.changed(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "git checkout \"$SHA\""), "/resource/jobs/test/steps/1/env", {"SHA": "${{ github.event.pull_request.head.sha }}"}), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 1]}
}

test_a_command_of_the_command_line_is_refused if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "gh pr checkout 5"), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == {["resource", "jobs", "test", "steps", 1]}
}

test_reading_the_number_of_a_head_is_fine if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", {"SHA": "${{ github.event.pull_request.head.sha }}"}), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == set()
}

test_inputs_that_are_no_object_name_nothing if {
	_places(requests.changed(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", "${{ github.event.pull_request.head.sha }}"), "/resource/on", {"pull_request_target": {"types": ["opened"]}})) == set()
}

test_without_triggers_nothing_is_privileged if {
	_places(requests.without(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"ref": "${{ github.event.pull_request.head.sha }}"}), "/resource/on")) == set()
}

test_facts_change_nothing_about_a_checkout if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}
