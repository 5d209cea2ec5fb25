package tests.image_build.non_root_test

import data.platform.rules.image_build.non_root
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in non_root.deny} with input as request
}

test_an_ordinary_user_passes if {
	_places(requests.image_build) == set()
}

test_a_number_passes if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "10001:0")) == set()
}

test_root_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "root")) == {["resource", "instructions", 5]}
}

test_root_with_a_group_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "root:app")) == {["resource", "instructions", 5]}
}

test_number_nought_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "0")) == {["resource", "instructions", 5]}
}

test_number_nought_written_longer_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "000:1")) == {["resource", "instructions", 5]}
}

test_another_name_of_root_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "toor")) == {["resource", "instructions", 5]}
}

test_a_variable_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "${UID}")) == {["resource", "instructions", 5]}
}

test_no_name_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "")) == {["resource", "instructions", 5]}
}

test_a_capital_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", "Root")) == {["resource", "instructions", 5]}
}

test_a_user_that_is_no_text_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/stages/1/user/value", 0)) == {["resource", "instructions", 5]}
}

test_without_a_user_it_is_root if {
	_places(requests.without(requests.image_build, "/resource/stages/1/user")) == {["resource", "stages", 1]}
}

test_the_user_of_an_earlier_stage_does_not_count if {
	_places(requests.extended(requests.without(requests.image_build, "/resource/stages/1/user"), "/resource/stages/0/user", {"value": "app", "instruction": 3})) == {["resource", "stages", 1]}
}

test_without_stages_there_is_nobody_to_judge if {
	_places(requests.changed(requests.image_build, "/resource/stages", [])) == set()
}

test_facts_change_nothing_about_a_user if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
