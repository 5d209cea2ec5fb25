# METADATA
# title: No container has the user id of root
# description: Neither the pod nor a container asks for user id 0.
# custom:
#   id: PSS-019
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.7", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Set runAsUser to a number above 0, or remove it."
package platform.rules.pss.root_user

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"root_user" in pss.checks
	some s in pods.secured
	user := object.get(s.security, "runAsUser", null)
	user != null
	not _is_no_root(user)
	v := {
		"path": array.concat(s.path, ["securityContext", "runAsUser"]),
		"message": sprintf("The %s asks for the user id %s.", [s.who, json.marshal(user)]),
	}
}

_is_no_root(user) if {
	is_number(user)
	user != 0
}
