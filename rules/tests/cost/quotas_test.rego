package tests.cost.quotas_test

import data.platform.rules.cost.quotas
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in quotas.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in quotas.deny} with input as request
}

test_quotas_within_the_budget_pass if {
	_places(requests.deploy) == set()
}

test_a_quota_above_the_budget_is_refused_and_lowered_to_it if {
	_places(requests.changed(requests.deploy, "/app/quotas/costEurPerMonth", 501)) == {["app", "quotas", "costEurPerMonth"]}
	_fixes(requests.changed(requests.deploy, "/app/quotas/costEurPerMonth", 501)) == {[{"op": "add", "path": ["app", "quotas", "costEurPerMonth"], "value": 500}]}
}

test_a_quota_of_zero_is_refused if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", 0)) == {["app", "quotas", "requestsPerDay"]}
}

test_a_quota_in_words_is_refused if {
	request := requests.changed(requests.deploy, "/app/quotas/requestsPerDay", "1000")
	_places(request) == {["app", "quotas", "requestsPerDay"]}
}

test_missing_quotas_are_refused_and_nothing_is_proposed if {
	_places(requests.without(requests.deploy, "/app/quotas")) == {["app", "quotas", "costEurPerMonth"], ["app", "quotas", "requestsPerDay"]}
	_fixes(requests.without(requests.deploy, "/app/quotas")) == set()
}

test_a_budget_in_words_is_no_budget if {
	request := requests.changed(requests.deploy, "/facts/tenant/quotas/costEurPerMonth", "much")
	_places(request) == {["app", "quotas", "costEurPerMonth"]}
	_fixes(request) == set()
}

test_no_facts_means_no_budget if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "quotas", "costEurPerMonth"], ["app", "quotas", "requestsPerDay"]}
}

test_a_quota_at_the_budget_passes if {
	_places(requests.changed(requests.deploy, "/app/quotas/costEurPerMonth", 500)) == set()
}

test_an_empty_quota_is_refused if {
	_places(requests.changed(requests.deploy, "/app/quotas/requestsPerDay", null)) == {["app", "quotas", "requestsPerDay"]}
}

test_a_budget_of_nothing_is_met_by_nothing_and_nothing_is_proposed if {
	request := requests.changed(requests.deploy, "/facts/tenant/quotas/costEurPerMonth", 0)
	_places(request) == {["app", "quotas", "costEurPerMonth"]}
	_fixes(request) == set()
}
