# METADATA
# title: "Stored data is encrypted"
# description: "Each store that is encrypted only on demand has that demand in the plan."
# custom:
#   id: INF-003
#   severity: high
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.7", "GDPR:Art.32", "NIST-SP-800-53:SC-28"]
#   remediation: "Set the attribute that the message names."
package platform.rules.infrastructure.encrypted

import data.platform.lib.plan

deny contains v if {
	some place in plan.places(data.platform.infrastructure.encrypted)
	not plan.is_met(place)
	v := {
		"path": place.path,
		"message": sprintf("%s of a %s is %s, so what it stores is not encrypted as it has to be.", [
			place.row.at,
			place.row.type,
			json.marshal(place.value),
		]),
	}
}
