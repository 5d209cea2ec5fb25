# METADATA
# title: Calls stay within the month's budget
# description: Where calls are metered, what a call costs must be left in the month's budget of the app and of its tenant.
# custom:
#   id: CONN-013
#   severity: medium
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Wait until next month, or deploy the app with a higher quotas.costEurPerMonth.
package platform.rules.connectors.budget

import data.platform.lib.metering
import data.platform.lib.operation

deny contains v if {
	metering.is_on
	some sort in ["app", "tenant"]
	not _is_left(sort)
	v := {
		"path": ["resource", "app"],
		"message": sprintf("The budget of the %s does not hold what this call costs, or nobody can say that it does.", [sort]),
	}
}

_is_left("app") if _holds(input.facts.usage.app_microeur, input.app.quotas.costEurPerMonth)

_is_left("tenant") if _holds(input.facts.usage.tenant_microeur, input.facts.tenant.quotas.costEurPerMonth)

# Where a call could be several operations, the dearest counts. One that names no cost costs nothing.
_cost := max({0} | {cost | some called in operation.called; cost := object.get(called, "cost_microeur", 0)})

_holds(spent, budget_eur) if {
	is_number(spent)
	is_number(budget_eur)
	is_number(_cost)
	spent + _cost <= budget_eur * 1000000
}
