# METADATA
# title: Containers drop all capabilities
# description: A container drops every capability and adds none back but to bind to a low port.
# custom:
#   id: PSS-021
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.8", "CIS-Kubernetes-1.8:5.2.10", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Set securityContext.capabilities.drop to [ALL] in every container."
package platform.rules.pss.capabilities_dropped

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"capabilities_dropped" in pss.checks
	some c in pods.containers
	dropped := lists.of(lists.object_of(c.security, "capabilities"), "drop")
	not data.platform.pss.dropped in dropped
	v := {
		"path": array.concat(c.path, ["securityContext", "capabilities", "drop"]),
		"message": sprintf("The %s does not drop all capabilities.", [c.who]),
	}
}

deny contains v if {
	"capabilities_dropped" in pss.checks
	some c in pods.containers
	some i, added in lists.of(lists.object_of(c.security, "capabilities"), "add")
	not added in data.platform.pss.added_back
	v := {
		"path": array.concat(c.path, ["securityContext", "capabilities", "add", i]),
		"message": sprintf("The %s adds the capability %s.", [c.who, json.marshal(added)]),
	}
}
