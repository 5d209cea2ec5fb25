package tests.infrastructure.encrypted_test

import data.platform.rules.infrastructure.encrypted
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in encrypted.deny} with input as request
}

test_an_encrypted_database_passes if {
	_places(requests.infrastructure) == set()
}

test_one_that_is_not_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/storage_encrypted", false)) == {["resource", "resource_changes", 0, "change", "after", "storage_encrypted"]}
}

test_nothing_said_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes/0/change/after/storage_encrypted")) == {["resource", "resource_changes", 0, "change", "after", "storage_encrypted"]}
}

test_the_disk_of_a_machine_counts if {
	_places(requests.plan_of("aws_instance", {"root_block_device": [{"encrypted": true}], "ebs_block_device": [{"encrypted": true}, {"encrypted": false}]})) == {["resource", "resource_changes", 0, "change", "after", "ebs_block_device", 1, "encrypted"]}
}

test_a_disk_that_nothing_is_said_about_is_refused if {
	_places(requests.plan_of("aws_instance", {"root_block_device": [{}]})) == {["resource", "resource_changes", 0, "change", "after", "root_block_device", 0, "encrypted"]}
}

test_what_is_not_known_yet_is_another_rule_s if {
	_places(requests.planned("aws_instance", {"root_block_device": [{}]}, {"root_block_device": [{"encrypted": true}]})) == set()
}

test_what_is_not_known_of_another_disk_does_not_count if {
	_places(requests.planned("aws_instance", {"root_block_device": [{}]}, {"root_block_device": [false]})) == {["resource", "resource_changes", 0, "change", "after", "root_block_device", 0, "encrypted"]}
}

test_a_machine_without_disks_of_its_own_passes if {
	_places(requests.plan_of("aws_instance", {})) == set()
}

test_another_sort_of_resource_passes if {
	_places(requests.plan_of("aws_route53_zone", {})) == set()
}

test_facts_change_nothing_about_a_disk if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
