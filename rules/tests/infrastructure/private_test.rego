package tests.infrastructure.private_test

import data.platform.rules.infrastructure.private
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in private.deny} with input as request
}

test_a_closed_database_passes if {
	_places(requests.infrastructure) == set()
}

test_an_open_database_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/publicly_accessible", true)) == {["resource", "resource_changes", 0, "change", "after", "publicly_accessible"]}
}

test_nothing_said_is_closed_for_a_database if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes/0/change/after/publicly_accessible")) == set()
}

test_an_open_bucket_is_refused if {
	_places(requests.plan_of("aws_s3_bucket_acl", {"acl": "public-read"})) == {["resource", "resource_changes", 0, "change", "after", "acl"]}
}

test_a_block_that_is_left_out_is_refused if {
	_places(requests.plan_of("aws_s3_bucket_public_access_block", {"block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true})) == {["resource", "resource_changes", 0, "change", "after", "restrict_public_buckets"]}
}

test_a_whole_block_passes if {
	_places(requests.plan_of("aws_s3_bucket_public_access_block", {"block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true})) == set()
}

test_what_is_not_known_yet_is_another_rule_s if {
	_places(requests.planned("google_storage_bucket", {}, {"public_access_prevention": true})) == set()
}

test_a_bucket_of_google_has_to_be_closed if {
	_places(requests.plan_of("google_storage_bucket", {"public_access_prevention": "inherited"})) == {["resource", "resource_changes", 0, "change", "after", "public_access_prevention"]}
}

test_an_account_of_azure_has_to_be_closed if {
	_places(requests.plan_of("azurerm_storage_account", {"allow_nested_items_to_be_public": true})) == {["resource", "resource_changes", 0, "change", "after", "allow_nested_items_to_be_public"]}
}

test_everybody_is_no_member if {
	_places(requests.plan_of("google_storage_bucket_iam_member", {"member": "allUsers"})) == {["resource", "resource_changes", 0, "change", "after", "member"]}
}

test_everybody_among_members_is_refused if {
	_places(requests.plan_of("google_storage_bucket_iam_binding", {"members": ["user:a@example.com", "allAuthenticatedUsers"]})) == {["resource", "resource_changes", 0, "change", "after", "members", 1]}
}

test_a_person_may_be_a_member if {
	_places(requests.plan_of("google_storage_bucket_iam_member", {"member": "user:a@example.com"})) == set()
}

test_what_is_taken_away_is_not_judged if {
	_places(requests.changed(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/publicly_accessible", true), "/resource/resource_changes/0/change/actions", ["delete"])) == set()
}

test_what_is_only_read_is_not_judged if {
	_places(requests.changed(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/publicly_accessible", true), "/resource/resource_changes/0/mode", "data")) == set()
}

test_what_stays_as_it_is_is_judged if {
	_places(requests.changed(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/publicly_accessible", true), "/resource/resource_changes/0/change/actions", ["no-op"])) == {["resource", "resource_changes", 0, "change", "after", "publicly_accessible"]}
}

test_facts_change_nothing_about_a_store if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
