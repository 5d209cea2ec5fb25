# METADATA
# title: Seccomp is not switched off
# description: A pod that names a seccomp profile names the runtime's own or one that is installed on the node.
# custom:
#   id: PSS-014
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.7.2", "NIST-SP-800-53:CM-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Use RuntimeDefault or Localhost, or remove the profile."
package platform.rules.pss.seccomp

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"seccomp" in pss.checks
	some s in pods.secured
	profile := object.get(s.security, "seccompProfile", null)
	profile != null
	sort := lists.text_of(profile, "type")
	not sort in data.platform.pss.seccomp.types
	v := {
		"path": array.concat(s.path, ["securityContext", "seccompProfile", "type"]),
		"message": sprintf("The %s has the seccomp profile type %s.", [s.who, json.marshal(sort)]),
	}
}
