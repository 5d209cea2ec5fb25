package tests.connectors.budget_test

import data.platform.rules.connectors.budget
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in budget.deny} with input as request
}

_broker(usage) := requests.extended(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"}), "/facts/usage", usage)

_no(sort) := [["resource", "app"], sprintf("The budget of the %s does not hold what this call costs, or nobody can say that it does.", [sort])]

test_the_last_call_that_the_budgets_hold_passes if {
	_found(_broker({"app_microeur": 49999800, "tenant_microeur": 499999800})) == set()
}

test_a_call_beyond_the_app_s_budget_is_refused if {
	_found(_broker({"app_microeur": 49999801, "tenant_microeur": 0})) == {_no("app")}
}

test_a_call_beyond_the_tenant_s_budget_is_refused if {
	_found(_broker({"app_microeur": 0, "tenant_microeur": 499999801})) == {_no("tenant")}
}

test_of_two_operations_that_it_could_be_the_dearer_counts if {
	request := requests.without(_broker({"app_microeur": 49999800, "tenant_microeur": 0}), "/resource/operation")
	other := {"name": "b", "method": "GET", "paths": ["/scim/v2/Users"], "scope": "employees:read", "cost_microeur": 201}
	_found(request) == set()
	_found(requests.extended(request, "/facts/connectors/0/operations/0", other)) == {_no("app")}
}

test_what_cannot_be_counted_is_refused if {
	_found(_broker({})) == {_no("app"), _no("tenant")}
	_found(_broker({"app_microeur": "0", "tenant_microeur": null})) == {_no("app"), _no("tenant")}
	dear := requests.changed(_broker({"app_microeur": 0, "tenant_microeur": 0}), "/facts/connectors/0/operations/0/cost_microeur", "dear")
	_found(dear) == {_no("app"), _no("tenant")}
}

test_an_app_without_a_budget_spends_nothing if {
	_found(requests.without(_broker({"app_microeur": 0, "tenant_microeur": 0}), "/app/quotas/costEurPerMonth")) == {_no("app")}
}

test_without_facts_a_broker_is_refused if {
	_found(requests.without(_broker({}), "/facts")) == {_no("app"), _no("tenant")}
}

test_where_nobody_counts_nothing_is_refused if {
	_found(requests.connector_call) == set()
}

test_a_call_that_costs_nothing_passes_with_the_last_cent_spent if {
	free := requests.without(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"}), "/facts/connectors/0/operations/0/cost_microeur")
	_found(requests.extended(free, "/facts/usage", {"app_microeur": 50000000, "tenant_microeur": 500000000})) == set()
	_found(requests.extended(free, "/facts/usage", {"app_microeur": 50000001, "tenant_microeur": 0})) == {_no("app")}
}

test_a_budget_that_is_no_number_holds_nothing if {
	request := requests.changed(_broker({"app_microeur": 0, "tenant_microeur": 0}), "/app/quotas/costEurPerMonth", "much")
	_found(request) == {_no("app")}
}
