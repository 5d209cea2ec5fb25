package tests.image_build.walls_test

import data.platform.rules.image_build.walls
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in walls.deny} with input as request
}

test_no_network_passes if {
	_places(requests.image_build) == set()
}

test_the_machine_s_network_is_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/flags", {"network": ["host"]})) == {["resource", "instructions", 3, "flags", "network"]}
}

test_rights_of_the_machine_are_refused if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/flags", {"security": ["sandbox", "insecure"]})) == {["resource", "instructions", 3, "flags", "security"]}
}

test_another_flag_passes if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/flags", {"mount": ["type=cache"]})) == set()
}

test_flags_that_are_no_object_are_none if {
	_places(requests.changed(requests.image_build, "/resource/instructions/3/flags", "network=host")) == set()
}

test_facts_change_nothing_about_a_flag if {
	_places(requests.without(requests.image_build, "/facts")) == set()
}
