package tests.image_build.remote_add_test

import data.platform.rules.image_build.remote_add
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in remote_add.deny} with input as request
}

test_a_file_passes if {
	_places(requests.image_build) == set()
}

test_an_address_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["ok", "https://example.org/x.tar"])) == {["resource", "instructions", 2, "sources", 1]}
}

test_a_capital_address_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["ok", "HTTP://example.org/x"])) == {["resource", "instructions", 2, "sources", 1]}
}

test_a_repository_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["ok", "git@github.com:a/b.git"])) == {["resource", "instructions", 2, "sources", 1]}
}

test_a_variable_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["ok", "$URL"])) == {["resource", "instructions", 2, "sources", 1]}
}

test_a_source_that_is_no_text_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["ok", 7])) == {["resource", "instructions", 2, "sources", 1]}
}

test_copy_takes_no_address if {
	_places(requests.changed(requests.changed(requests.image_build, "/resource/instructions/2/sources", ["https://x"]), "/resource/instructions/2/name", "COPY")) == set()
}

test_facts_change_nothing_about_a_source if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
