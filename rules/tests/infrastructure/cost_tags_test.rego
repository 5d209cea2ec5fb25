package tests.infrastructure.cost_tags_test

import data.platform.rules.infrastructure.cost_tags
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in cost_tags.deny} with input as request
}

test_a_resource_with_its_tags_passes if {
	_places(requests.infrastructure) == set()
}

test_a_missing_tag_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource/resource_changes/0/change/after/tags/owner")) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_an_empty_tag_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/tags/owner", "")) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_no_tags_are_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/tags", null)) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_a_provider_s_own_tags_count if {
	_places(requests.extended(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/tags", null), "/resource/resource_changes/0/change/after/tags_all", {"cost-center": "MK-42", "owner": "a", "tenant": "b"})) == set()
}

test_labels_count if {
	_places(requests.plan_of("google_storage_bucket", {"labels": {"cost-center": "mk-42", "owner": "a", "tenant": "b"}})) == set()
}

test_labels_of_a_provider_count if {
	_places(requests.plan_of("google_storage_bucket", {"labels": {}, "effective_labels": {"cost-center": "mk-42", "owner": "a", "tenant": "b"}})) == set()
}

test_what_has_no_tags_needs_none if {
	_places(requests.plan_of("aws_iam_group", {"name": "x"})) == set()
}

test_a_cost_center_of_another_form_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/tags/cost-center", "marketing")) == {["resource", "resource_changes", 0, "change", "after", "tags", "cost-center"]}
}

test_facts_change_nothing_about_a_tag if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
