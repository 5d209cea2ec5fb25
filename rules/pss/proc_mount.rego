# METADATA
# title: What /proc hides stays hidden
# description: A container sees /proc with the masks that its runtime puts on it, unless it has a user namespace of its own.
# custom:
#   id: PSS-012
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:SC-39", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove securityContext.procMount or set it to Default."
package platform.rules.pss.proc_mount

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"proc_mount" in pss.checks
	some c in pods.containers
	mount := object.get(c.security, "procMount", null)
	not mount in {null, "Default"}
	v := {
		"path": array.concat(c.path, ["securityContext", "procMount"]),
		"message": sprintf("The %s mounts /proc as %s.", [c.who, json.marshal(mount)]),
	}
}
