# METADATA
# title: Seccomp is on
# description: Every container has, of its own or from its pod, the runtime's seccomp profile or one that is installed on the node.
# custom:
#   id: PSS-020
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.7.2", "NIST-SP-800-53:CM-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Set securityContext.seccompProfile.type of the pod to RuntimeDefault."
package platform.rules.pss.seccomp_required

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"seccomp_required" in pss.checks
	_of_pod != null
	not _is_confined(_of_pod)
	v := {
		"path": array.concat(pods.spec_path, ["securityContext", "seccompProfile", "type"]),
		"message": "The pod has a seccomp profile that confines nothing.",
	}
}

deny contains v if {
	"seccomp_required" in pss.checks
	some c in pods.containers
	not _is_confined(_of(c))
	v := {
		"path": array.concat(c.path, ["securityContext", "seccompProfile", "type"]),
		"message": sprintf("The %s runs without a seccomp profile that confines it.", [c.who]),
	}
}

_of_pod := object.get(pods.spec, ["securityContext", "seccompProfile"], null)

_of(c) := own if {
	own := object.get(c.security, "seccompProfile", null)
	own != null
} else := _of_pod

_is_confined(profile) if lists.text_of(profile, "type") in data.platform.pss.seccomp.types
