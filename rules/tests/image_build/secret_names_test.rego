package tests.image_build.secret_names_test

import data.platform.rules.image_build.secret_names
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in secret_names.deny} with input as request
}

test_a_port_passes if {
	_places(requests.image_build) == set()
}

test_a_password_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"DB_PASSWORD": "x"})) == {["resource", "instructions", 1, "variables", "DB_PASSWORD"]}
}

test_a_token_without_a_value_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"NPM_TOKEN": null})) == {["resource", "instructions", 1, "variables", "NPM_TOKEN"]}
}

test_a_key_in_small_letters_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"api_key": "x"})) == {["resource", "instructions", 1, "variables", "api_key"]}
}

test_a_secret_alone_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"SECRET": "x"})) == {["resource", "instructions", 1, "variables", "SECRET"]}
}

test_credentials_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"AWS_CREDENTIALS": "x"})) == {["resource", "instructions", 1, "variables", "AWS_CREDENTIALS"]}
}

test_an_address_of_tokens_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"TOKEN_URL": "x"})) == set()
}

test_a_keyboard_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"KEYBOARD": "x"})) == set()
}

test_a_path_to_a_file_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", {"PASSWORD_FILE": "x"})) == set()
}

test_variables_that_are_no_object_hold_no_names if {
	_places(requests.changed(requests.image_build, "/resource/instructions/1/variables", "PASSWORD")) == set()
}

test_facts_change_nothing_about_a_name if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
