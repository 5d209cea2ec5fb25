package tests.infrastructure.known_now_test

import data.platform.rules.infrastructure.known_now
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in known_now.deny} with input as request
}

test_a_plan_that_shows_everything_passes if {
	_places(requests.infrastructure) == set()
}

test_an_attribute_that_is_worked_out_later_is_looked_at if {
	_places(requests.planned("google_storage_bucket", {}, {"public_access_prevention": true})) == {["resource", "resource_changes", 0, "change", "after", "public_access_prevention"]}
}

test_encryption_that_is_worked_out_later_is_looked_at if {
	_places(requests.planned("aws_ebs_volume", {}, {"encrypted": true})) == {["resource", "resource_changes", 0, "change", "after", "encrypted"]}
}

test_a_policy_that_is_worked_out_later_is_looked_at if {
	_places(requests.planned("aws_iam_policy", {}, {"policy": true})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_a_value_that_is_there_is_known if {
	_places(requests.planned("aws_ebs_volume", {"encrypted": false}, {"encrypted": true})) == set()
}

test_what_no_rule_judges_may_come_later if {
	_places(requests.planned("aws_ebs_volume", {"encrypted": true}, {"id": true})) == set()
}

test_a_part_of_a_policy_is_no_policy if {
	_places(requests.planned("aws_iam_policy", {"policy": "{}"}, {"policy": {}})) == set()
}

test_facts_change_nothing_about_what_is_known if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
