package tests.gateway.quota_test

import data.platform.rules.gateway.quota
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in quota.deny} with input as request
}

_messages(request) := messages if {
	messages := {v.message | some v in quota.deny} with input as request
}

_app := ["resource", "app"]

test_below_both_quotas_passes if {
	_places(requests.app_call) == set()
}

test_the_last_one_passes_and_the_next_does_not if {
	_places(requests.changed(requests.app_call, "/facts/usage/requests/app/day", 999)) == set()
	_places(requests.changed(requests.app_call, "/facts/usage/requests/app/day", 1000)) == {_app}
	_places(requests.changed(requests.app_call, "/facts/usage/requests/tenant/day", 20000)) == {_app}
}

test_a_month_counts_where_it_has_a_quota if {
	monthly := requests.extended(requests.app_call, "/facts/tenant/quotas/requestsPerMonth", 401)
	_places(monthly) == set()
	full := requests.changed(monthly, "/facts/usage/requests/tenant/month", 401)
	_messages(full) == {"The tenant has answered all requests of its month, or nobody can say that it has not."}
	own := requests.extended(requests.app_call, "/app/quotas/requestsPerMonth", 40)
	count(_messages(own)) == 1
}

test_a_quota_of_another_type_is_none if {
	_places(requests.changed(requests.app_call, "/app/quotas/requestsPerDay", "many")) == {_app}
	_places(requests.extended(requests.app_call, "/app/quotas/requestsPerMonth", "many")) == {_app}
	_places(requests.changed(requests.app_call, "/facts/usage/requests/app/day", null)) == {_app}
}

test_without_a_count_or_a_quota_nothing_passes if {
	_places(requests.without(requests.app_call, "/facts/usage")) == {_app}
	_places(requests.without(requests.app_call, "/app/quotas")) == {_app}
	_places(requests.without(requests.app_call, "/facts")) == {_app}
}
