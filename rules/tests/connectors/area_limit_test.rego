package tests.connectors.area_limit_test

import data.platform.rules.connectors.area_limit
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in area_limit.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in area_limit.deny} with input as request
}

test_a_quota_within_every_limit_passes if {
	_places(requests.deploy) == set()
}

test_a_quota_above_one_limit_is_refused_and_lowered_to_it if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", 2001)) == {["app", "quotas", "requestsPerDay"]}
	_fixes(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", 2001)) == {[{"op": "add", "path": ["app", "quotas", "requestsPerDay"], "value": 2000}]}
}

test_a_quota_at_the_limit_passes if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", 2000)) == set()
}

test_a_missing_quota_is_over_every_limit if {
	_places(requests.without(requests.deploy, "/app/quotas/requestsPerDay")) == {["app", "quotas", "requestsPerDay"]}
}

test_a_quota_in_words_is_no_quota if {
	request := requests.changed(requests.deploy, "/app/quotas/requestsPerDay", "1000")
	_places(request) == {["app", "quotas", "requestsPerDay"]}
}

test_other_areas_have_the_limit_of_the_star if {
	request := requests.changed(requests.changed(requests.deploy, "/facts/tenant/business_area", "legal"), "/app/quotas/requestsPerDay", 1001)
	_places(request) == {["app", "quotas", "requestsPerDay"]}
}

test_an_area_that_is_granted_nothing_cannot_use_the_connector if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/limits", {"hr": 10})
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_a_limit_in_words_is_no_limit if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/limits", {"*": "many"})
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_no_facts_means_no_limit_is_known if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_an_empty_quota_is_over_every_limit if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", null)) == {["app", "quotas", "requestsPerDay"]}
}

test_a_negative_quota_is_no_quota if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", -1)) == {["app", "quotas", "requestsPerDay"]}
}

test_a_quota_of_nothing_is_within_every_limit if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", 0)) == set()
}
