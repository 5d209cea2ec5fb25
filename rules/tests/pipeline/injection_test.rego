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

# The text of a variable that is written into a script is a stranger's again.
_taken(env, run) := requests.extended(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", run), "/resource/jobs/test/steps/1/env", env)

test_a_title_in_a_variable_that_the_script_reads_passes if {
	_places(_taken({"T": "${{ github.event.issue.title }}"}, "echo \"$T\"")) == set()
}

test_a_title_in_a_variable_that_becomes_text_is_refused if {
	_places(_taken({"T": "${{ github.event.issue.title }}"}, "echo ${{ env.T }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
	_places(_taken({"Title": "x ${{ github.head_ref }}"}, "echo ${{ env['TITLE'] }}")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_variable_of_our_own_may_become_text if {
	_places(_taken({"T": "${{ github.sha }}"}, "echo ${{ env.T }}")) == set()
	_places(_taken({"U": "${{ github.event.issue.title }}"}, "echo ${{ env.T }}")) == set()
}

test_a_variable_of_the_job_or_of_the_file_counts_too if {
	request := requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "echo ${{ env.T }}")
	_places(requests.extended(request, "/resource/env", {"T": "${{ github.event.issue.title }}"})) == {["resource", "jobs", "test", "steps", 1, "run"]}
	_places(requests.extended(request, "/resource/jobs/test/env", {"T": "${{ github.event.issue.title }}"})) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_a_shell_is_a_script_too if {
	title := "bash -c ${{ github.event.issue.title }} {0}"
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/steps/1/shell", title)) == {["resource", "jobs", "test", "steps", 1, "shell"]}
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/defaults", {"run": {"shell": title}})) == {["resource", "jobs", "test", "defaults", "run", "shell"]}
}
