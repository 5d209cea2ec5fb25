# METADATA
# title: "Waivers end"
# description: "A waiver is still good, and ends within the longest term that the platform gives."
# custom:
#   id: REG-002
#   severity: medium
#   applies_to: [registry_entry]
#   controls: ["ISO-27001:A.5.36", "SOC2:CC4.2", "GDPR:Art.24", "NIST-SP-800-53:CA-7"]
#   remediation: "Set expires to an instant within the term; renew it when somebody has looked again."
package platform.rules.registry.waiver_term

import data.platform.lib.instants
import data.platform.lib.lists

deny contains v if {
	input.resource.kind == "Waiver"
	expires := lists.text_of(lists.object_of(input.resource, "spec"), "expires")
	not _is_within_term(expires)
	v := {
		"path": ["resource", "spec", "expires"],
		"message": sprintf("%s is over, or more than %d days away.", [json.marshal(expires), data.platform.registry.longest_waiver_days]),
	}
}

_is_within_term(expires) if {
	instants.is_ahead(expires)
	term := instants.nanoseconds(expires) - instants.nanoseconds(input.now)
	term <= data.platform.registry.longest_waiver_days * 86400000000000
}
