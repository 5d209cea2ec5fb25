package tests.pss.host_path_test

import data.platform.rules.pss.host_path
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in host_path.deny} with input as request
}

_changes(source) := {"/volumes/-": {"name": "host", "hostPath": source}}

_place := workloads.in_spec(["volumes", 1, "hostPath"])

test_a_folder_of_the_host_is_refused if {
	_found(workloads.asked("baseline", "v1.0", _changes({"path": "/etc"}))) == {_place}
	_found(workloads.asked("baseline", "latest", _changes({}))) == {_place}
	_found(workloads.asked("baseline", "latest", _changes(false))) == {_place}
}

test_other_volumes_pass if {
	_found(workloads.asked("baseline", "latest", _changes(null))) == set()
	_found(workloads.asked("baseline", "latest", {"/volumes": [{"name": "files", "nfs": {}}, "x"]})) == set()
}

test_the_restricted_profile_has_a_check_of_its_own if {
	_found(workloads.asked("restricted", "latest", _changes({"path": "/etc"}))) == set()
}
