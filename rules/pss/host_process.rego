# METADATA
# title: No host processes on Windows
# description: A Windows container that runs as a process of its host is not isolated at all.
# custom:
#   id: PSS-003
#   severity: critical
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.11", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove securityContext.windowsOptions.hostProcess or set it to false."
package platform.rules.pss.host_process

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"host_process" in pss.checks
	some s in pods.secured
	options := lists.object_of(s.security, "windowsOptions")
	not object.get(options, "hostProcess", null) in {null, false}
	v := {
		"path": array.concat(s.path, ["securityContext", "windowsOptions", "hostProcess"]),
		"message": sprintf("The %s runs as a process of the host.", [s.who]),
	}
}
