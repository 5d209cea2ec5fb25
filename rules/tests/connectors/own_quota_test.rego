package tests.connectors.own_quota_test

import data.platform.rules.connectors.own_quota
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in own_quota.deny} with input as request
}

_broker(usage) := requests.extended(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"}), "/facts/usage", usage)

_no(sort) := [["resource", "app"], sprintf("The %s has made all the calls of its day, or nobody can say that it has not.", [sort])]

test_the_last_call_of_both_days_passes if {
	_found(_broker({"app_calls_today": 999, "tenant_calls_today": 19999})) == set()
}

test_an_app_that_made_what_it_planned_is_refused if {
	_found(_broker({"app_calls_today": 1000, "tenant_calls_today": 1000})) == {_no("app")}
}

test_a_tenant_whose_apps_made_all_it_has_is_refused if {
	_found(_broker({"app_calls_today": 1, "tenant_calls_today": 20000})) == {_no("tenant")}
}

test_counts_that_are_missing_or_no_numbers_are_refused if {
	_found(_broker({})) == {_no("app"), _no("tenant")}
	_found(_broker({"app_calls_today": null, "tenant_calls_today": null})) == {_no("app"), _no("tenant")}
}

test_an_app_without_a_quota_makes_no_calls if {
	_found(requests.without(_broker({"app_calls_today": 0, "tenant_calls_today": 0}), "/app/quotas")) == {_no("app")}
	_found(requests.changed(_broker({"app_calls_today": 0, "tenant_calls_today": 0}), "/app/quotas/requestsPerDay", "many")) == {_no("app")}
}

test_without_facts_a_broker_is_refused if {
	_found(requests.without(_broker({}), "/facts")) == {_no("app"), _no("tenant")}
}

test_where_nobody_counts_nothing_is_refused if {
	_found(requests.connector_call) == set()
}
