package tests.infrastructure.least_rights_test

import data.platform.rules.infrastructure.least_rights
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in least_rights.deny} with input as request
}

test_named_actions_pass if {
	_places(requests.infrastructure) == set()
}

test_a_named_action_on_everything_passes if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"Action\": \"s3:ListAllMyBuckets\"}]}"})) == set()
}

test_every_action_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"Action\": \"*\"}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_every_action_among_others_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"Action\": [\"s3:GetObject\", \"*\"]}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_every_action_of_every_service_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"arn:x\", \"Action\": \"*:*\"}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_every_action_of_a_service_on_everything_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"Action\": \"s3:*\"}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_every_action_of_a_service_on_one_thing_passes if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"arn:aws:s3:::a\", \"Action\": \"s3:*\"}]}"})) == set()
}

test_all_but_some_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"NotAction\": \"iam:PassRole\"}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_all_but_a_list_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Resource\": \"*\", \"NotAction\": [\"iam:PassRole\"]}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_denying_everything_passes if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Deny\", \"Resource\": \"*\", \"Action\": \"*\"}]}"})) == set()
}

test_one_statement_without_a_list_counts if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_a_policy_that_is_no_json_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "{"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_a_policy_that_is_a_list_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": "[]"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_a_policy_that_is_no_text_is_refused if {
	_places(requests.plan_of("aws_iam_policy", {"policy": 7})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_anybody_is_refused if {
	_places(requests.plan_of("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Principal\": \"*\"}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_anybody_of_any_account_is_refused if {
	_places(requests.plan_of("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Principal\": {\"AWS\": [\"*\"]}}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_all_people_but_some_are_refused if {
	_places(requests.plan_of("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"NotPrincipal\": {\"AWS\": \"arn:x\"}}]}"})) == {["resource", "resource_changes", 0, "change", "after", "policy"]}
}

test_anybody_under_a_condition_passes if {
	_places(requests.plan_of("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Principal\": \"*\", \"Condition\": {\"StringEquals\": {\"aws:SourceVpc\": \"vpc-1\"}}}]}"})) == set()
}

test_a_key_may_allow_everything_on_itself if {
	_places(requests.plan_of("aws_kms_key", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"kms:*\", \"Resource\": \"*\", \"Principal\": {\"AWS\": \"arn:aws:iam::1:root\"}}]}"})) == set()
}

test_who_may_take_a_role_is_somebody if {
	_places(requests.plan_of("aws_iam_role", {"assume_role_policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"sts:AssumeRole\", \"Principal\": {\"AWS\": \"*\"}}]}"})) == {["resource", "resource_changes", 0, "change", "after", "assume_role_policy"]}
}

test_a_policy_inside_a_role_counts if {
	_places(requests.plan_of("aws_iam_role", {"inline_policy": [{"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}]}"}]})) == {["resource", "resource_changes", 0, "change", "after", "inline_policy", 0, "policy"]}
}

test_being_owner_is_refused if {
	_places(requests.plan_of("google_project_iam_member", {"role": "roles/owner", "member": "user:a@example.com"})) == {["resource", "resource_changes", 0, "change", "after", "role"]}
}

test_a_narrow_role_passes if {
	_places(requests.plan_of("azurerm_role_assignment", {"role_definition_name": "Reader"})) == set()
}

test_contributing_to_everything_is_refused if {
	_places(requests.plan_of("azurerm_role_assignment", {"role_definition_name": "Contributor"})) == {["resource", "resource_changes", 0, "change", "after", "role_definition_name"]}
}

test_facts_change_nothing_about_rights if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
