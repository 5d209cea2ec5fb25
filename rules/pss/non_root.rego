# METADATA
# title: Containers do not run as root
# description: A container, or its pod for all of them, says that it must not run as root.
# custom:
#   id: PSS-018
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.7", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Set securityContext.runAsNonRoot to true in the pod, and nowhere to false."
package platform.rules.pss.non_root

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"non_root" in pss.checks
	not _of_pod in {null, true}
	v := {
		"path": array.concat(pods.spec_path, ["securityContext", "runAsNonRoot"]),
		"message": "The pod lets containers run as root.",
	}
}

deny contains v if {
	"non_root" in pss.checks
	some c in pods.containers
	not _is_safe(object.get(c.security, "runAsNonRoot", null))
	v := {
		"path": array.concat(c.path, ["securityContext", "runAsNonRoot"]),
		"message": sprintf("The %s may run as root.", [c.who]),
	}
}

_of_pod := object.get(pods.spec, ["securityContext", "runAsNonRoot"], null)

_is_safe(value) if value == true

_is_safe(value) if {
	value == null
	_of_pod == true
}
