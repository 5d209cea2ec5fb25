package tests.pss.volumes_test

import data.platform.rules.pss.volumes
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in volumes.deny} with input as request
}

_changes(volume) := {"/volumes/-": volume}

_place(source) := workloads.in_spec(["volumes", 1, source])

test_what_the_node_or_a_file_server_holds_is_refused if {
	every source in ["hostPath", "nfs", "gitRepo", "flexVolume", "somethingNew"] {
		_found(workloads.asked("restricted", "v1.0", _changes({"name": "data", source: {}}))) == {_place(source)}
	}
}

test_beside_an_allowed_source_it_stays_refused if {
	_found(workloads.asked("restricted", "latest", _changes({"name": "data", "emptyDir": {}, "nfs": {}}))) == {_place("nfs")}
}

test_the_clusters_own_storage_passes if {
	every source in ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"] {
		_found(workloads.asked("restricted", "latest", _changes({"name": "data", source: {}}))) == set()
	}
}

test_a_volume_of_nothing_is_an_empty_folder if {
	_found(workloads.asked("restricted", "latest", _changes({"name": "data", "nfs": null}))) == set()
}

test_baseline_does_not_ask if {
	_found(workloads.asked("baseline", "latest", _changes({"name": "data", "nfs": {}}))) == set()
}
