package tests.obligations.retry_after_test

import data.platform.obligations.retry_after
import data.tests.lib.requests

_values(request) := values if {
	values := retry_after.oblige with input as request
}

_full := requests.changed(requests.app_call, "/facts/usage/requests/app/day", 1000)

test_below_the_quota_nobody_has_to_wait if {
	_values(requests.app_call) == set()
}

test_a_day_ends_at_midnight if {
	_values(_full) == {54000}
	_values(requests.changed(_full, "/now", "2026-11-24T23:59:59.5Z")) == {1}
}

test_a_month_ends_with_its_last_day if {
	monthly := requests.extended(requests.app_call, "/app/quotas/requestsPerMonth", 1)
	_values(monthly) == {572400}
	_values(requests.changed(monthly, "/now", "2026-12-31T23:00:00Z")) == {3600}
}

test_who_has_to_wait_for_both_waits_for_the_later_one if {
	both := requests.extended(_full, "/app/quotas/requestsPerMonth", 1)
	_values(both) == {572400}
}
