package tests.pipeline.all_secrets_test

import data.platform.rules.pipeline.all_secrets
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in all_secrets.deny} with input as request
}

test_a_workflow_without_secrets_passes if {
	_places(requests.pipeline) == set()
}

test_a_secret_by_name_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", {"T": "${{ secrets.DEPLOY }}"})) == set()
}

test_inheriting_all_is_refused if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/secrets", "inherit")) == {["resource", "jobs", "test", "secrets"]}
}

test_handing_some_over_passes if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/secrets", {"T": "${{ secrets.DEPLOY }}"})) == set()
}

test_listing_all_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", {"T": "${{ toJSON( secrets ) }}"})) == {["resource", "jobs", "test", "steps", 1]}
}

test_listing_all_for_a_job_is_refused if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/env", {"T": "${{ toJson(secrets) }}"})) == {["resource", "jobs", "test"]}
}

test_a_name_that_is_worked_out_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", {"T": "${{ secrets[matrix.name] }}"})) == {["resource", "jobs", "test", "steps", 1]}
}

test_a_name_in_brackets_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/env", {"T": "${{ secrets['DEPLOY'] }}"})) == set()
}

test_a_step_that_is_no_object_has_no_secrets if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1", "toJSON(secrets)")) == set()
}

test_facts_change_nothing_about_secrets if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}
