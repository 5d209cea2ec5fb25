# METADATA
# title: No privileged containers
# description: A privileged container can do to its host whatever the host's root can.
# custom:
#   id: PSS-005
#   severity: critical
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.2", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove securityContext.privileged or set it to false."
package platform.rules.pss.privileged

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"privileged" in pss.checks
	some c in pods.containers
	not object.get(c.security, "privileged", null) in {null, false}
	v := {
		"path": array.concat(c.path, ["securityContext", "privileged"]),
		"message": sprintf("The %s is privileged.", [c.who]),
	}
}
