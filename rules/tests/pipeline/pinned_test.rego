package tests.pipeline.pinned_test

import data.platform.rules.pipeline.pinned
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in pinned.deny} with input as request
}

test_a_commit_passes if {
	_places(requests.pipeline) == set()
}

test_an_action_of_the_own_repository_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "./.github/actions/build")) == set()
}

test_an_action_in_a_folder_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "aws-actions/tools/login@0123456789012345678901234567890123456789")) == set()
}

test_an_image_with_a_digest_passes if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "docker://alpine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) == set()
}

test_a_tag_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "actions/checkout@v4")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_a_branch_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "actions/checkout@main")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_a_short_commit_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "actions/checkout@0123456")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_no_version_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "actions/checkout")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_an_image_with_a_tag_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "docker://alpine:3")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_a_way_out_of_the_repository_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/0/uses", "./../other")) == {["resource", "jobs", "test", "steps", 0, "uses"]}
}

test_a_workflow_that_is_called_counts_too if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/uses", "octo/flows/.github/workflows/x.yml@v1")) == {["resource", "jobs", "test", "uses"]}
}

test_an_image_in_one_word_counts_too if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/container", "alpine:3")) == {["resource", "jobs", "test", "container"]}
}

test_an_image_with_a_tag_to_run_in_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/container/image", "alpine:3")) == {["resource", "jobs", "test", "container", "image"]}
}

test_an_image_that_is_no_text_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/container/image", 7)) == {["resource", "jobs", "test", "container", "image"]}
}

test_a_service_counts_too if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/services", {"db": {"image": "postgres:16"}})) == {["resource", "jobs", "test", "services", "db", "image"]}
}

test_a_pinned_service_passes if {
	_places(requests.extended(requests.pipeline, "/resource/jobs/test/services", {"db": {"image": "postgres@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}})) == set()
}

test_facts_change_nothing_about_a_pin if {
	_places(requests.without(requests.pipeline, "/facts")) == set()
}

_action(image) := requests.extended(requests.without(requests.pipeline, "/resource/jobs"), "/resource/runs", {"using": "docker", "image": image})

test_an_action_that_is_an_image_is_pinned_as_well if {
	_places(_action("docker://alpine:3")) == {["resource", "runs", "image"]}
	_places(_action("DOCKER://alpine:3")) == {["resource", "runs", "image"]}
	_places(_action("docker://alpine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) == set()
}

test_an_action_that_is_built_here_is_judged_by_its_dockerfile if {
	_places(_action("Dockerfile")) == set()
}
