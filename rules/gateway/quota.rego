# METADATA
# title: Requests stay within the quota of app and tenant
# description: An app answers no more requests a day or month than its manifest plans, and all apps of a tenant no more than the tenant has.
# custom:
#   id: GW-003
#   severity: medium
#   applies_to: [app_call]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Wait until the time that Retry-After names, or deploy the app with a higher quota.
package platform.rules.gateway.quota

import data.platform.lib.requests_left

deny contains v if {
	some used in requests_left.used_up
	v := {
		"path": ["resource", "app"],
		"message": sprintf("The %s has answered all requests of its %s, or nobody can say that it has not.", [
			used.of, used.period,
		]),
	}
}
