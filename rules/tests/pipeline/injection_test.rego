package tests.pipeline.injection_test

import data.platform.rules.pipeline.injection
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in injection.deny} with input as request
}

test_a_number_in_a_variable_passes if {
	_places(requests.pipeline) == set()
}

test_a_number_in_a_script_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ github.event.pull_request.number }}")) == set()
}

test_a_commit_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ github.sha }} ${{ github.event.pull_request.head.sha }}")) == set()
}

test_a_word_outside_of_an_expression_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo github.event.issue.title")) == set()
}

test_a_matrix_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ matrix.os }}")) == set()
}

test_a_title_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo \"${{ github.event.issue.title }}\"")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_branch_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ github.head_ref }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_another_spelling_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ GitHub . Event.Issue.BODY }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_brackets_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ github['event']['issue']['title'] }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_list_of_all_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ join(github.event.commits.*.message) }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_the_whole_event_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ toJSON(github.event) }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_the_whole_context_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ toJSON(github) }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_title_behind_a_brace_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ format('}', github.event.issue.title) }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_script_of_an_action_is_a_script if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", {"script": "x(${{ github.event.comment.body }})"})) == {["resource", "jobs", "test", "steps", 0, "with", "script"]}
}

test_a_step_of_an_action_is_a_script if {
	_places(requests.changed(requests.pipeline, "/resource", {"runs": {"steps": [{"run": "${{ github.head_ref }}"}]}})) == {["resource", "runs", "steps", 0, "run"]}
}

test_a_script_that_is_no_text_holds_no_expression if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", 7)) == set()
}

test_facts_change_nothing_about_a_script if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}
