# METADATA
# title: No capabilities beyond the default ones
# description: A container adds none of the kernel's capabilities but those that container runtimes give by default.
# custom:
#   id: PSS-006
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.9", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove the capability from securityContext.capabilities.add."
package platform.rules.pss.capabilities

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"capabilities" in pss.checks
	some c in pods.containers
	some i, added in lists.of(lists.object_of(c.security, "capabilities"), "add")
	not added in data.platform.pss.capabilities
	v := {
		"path": array.concat(c.path, ["securityContext", "capabilities", "add", i]),
		"message": sprintf("The %s adds the capability %s.", [c.who, json.marshal(added)]),
	}
}
