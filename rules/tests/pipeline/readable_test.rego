package tests.pipeline.readable_test

import data.platform.rules.pipeline.readable
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in readable.deny} with input as request
}

test_a_workflow_passes if {
	_places(requests.pipeline) == set()
}

test_an_action_passes if {
	_places(requests.changed(requests.pipeline, "/resource", {"runs": {"using": "node20", "main": "a.js"}})) == set()
}

test_nothing_to_look_at_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource", {"on": "push"})) == {["resource"]}
}

test_jobs_that_are_a_list_are_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs", [])) == {["resource"]}
}

test_a_job_that_is_no_object_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test", "x")) == {["resource", "jobs", "test"]}
}

test_steps_that_are_an_object_are_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps", {})) == {["resource", "jobs", "test", "steps"]}
}

test_a_job_that_uses_a_list_is_refused if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/uses", ["x"])) == {["resource", "jobs", "test", "uses"]}
}

test_settings_of_a_job_that_are_a_list_are_refused if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/env", ["x"])) == {["resource", "jobs", "test", "env"]}
}

test_a_step_that_is_text_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0", "x")) == {["resource", "jobs", "test", "steps", 0]}
}

test_a_command_that_is_a_list_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", ["make"])) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_what_is_used_has_to_be_text if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", 1)) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_inputs_have_to_be_an_object if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/with", "x")) == {["resource", "jobs", "test", "steps", 0, "with"]}
}

test_settings_of_a_step_have_to_be_an_object if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", "x")) == {["resource", "jobs", "test", "steps", 1, "env"]}
}

test_nothing_said_is_fine if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", null)) == set()
}

test_a_missing_resource_is_refused if {
	_places(requests.without(requests.pipeline, "/resource")) == {["resource"]}
}

test_facts_change_nothing_about_a_form if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}
