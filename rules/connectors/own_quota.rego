# METADATA
# title: Calls stay within the app's and the tenant's own quota
# description: Where calls are metered, an app makes no more calls a day than its manifest planned, and all apps of a tenant no more than the tenant has.
# custom:
#   id: CONN-011
#   severity: medium
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Wait until tomorrow, or deploy the app with a higher quotas.requestsPerDay.
package platform.rules.connectors.own_quota

import data.platform.lib.metering

deny contains v if {
	metering.is_on
	some sort in ["app", "tenant"]
	not _is_left(sort)
	v := {
		"path": ["resource", "app"],
		"message": sprintf("The %s has made all the calls of its day, or nobody can say that it has not.", [sort]),
	}
}

_is_left("app") if _is_below(input.facts.usage.app_calls_today, input.app.quotas.requestsPerDay)

_is_left("tenant") if _is_below(input.facts.usage.tenant_calls_today, input.facts.tenant.quotas.requestsPerDay)

_is_below(made, limit) if {
	is_number(made)
	is_number(limit)
	made < limit
}
