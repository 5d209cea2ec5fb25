# METADATA
# title: No process gains more rights than it was started with
# description: A container forbids privilege escalation, as by set-user-id programs.
# custom:
#   id: PSS-017
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.6", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Set securityContext.allowPrivilegeEscalation to false in every container."
package platform.rules.pss.privilege_escalation

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"privilege_escalation" in pss.checks
	some c in pods.containers
	object.get(c.security, "allowPrivilegeEscalation", null) != false
	path := array.concat(c.path, ["securityContext", "allowPrivilegeEscalation"])
	v := {
		"path": path,
		"message": sprintf("The %s does not forbid privilege escalation.", [c.who]),
	}
}
