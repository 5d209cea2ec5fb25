# METADATA
# title: Every container has limits
# description: Each container but an ephemeral one, which can have none, has limits for CPU and memory within the platform's.
# custom:
#   id: KUB-006
#   severity: high
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "NIST-SP-800-53:SC-6", "GDPR:Art.32"]
#   remediation: "Set resources.limits.cpu and memory to the values in the message or lower."
package platform.rules.kubernetes.limits

import data.platform.lib.pods
import data.platform.lib.quantities
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some c in pods.containers
	c.sort != "ephemeralContainers"
	some name, most in data.platform.kubernetes.limits
	limit := object.get(c.it, ["resources", "limits", name], null)
	not _is_within(limit, most)
	v := {
		"path": array.concat(c.path, ["resources", "limits", name]),
		"message": sprintf("The limit %s of the %s is %s; it has to be above 0 and at most %s.", [
			name,
			c.who,
			json.marshal(limit),
			json.marshal(most),
		]),
		"effect": workload.effect,
	}
}

_is_within(limit, most) if {
	amount := quantities.amount(limit)
	amount > 0
	amount <= most
}
