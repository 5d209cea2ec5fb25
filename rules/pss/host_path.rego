# METADATA
# title: No volumes from the host
# description: A pod mounts no folder of its host.
# custom:
#   id: PSS-007
#   severity: critical
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.12", "NIST-SP-800-53:AC-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Use a persistent volume claim, an emptyDir or a configMap."
package platform.rules.pss.host_path

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"host_path" in pss.checks
	some volume in pods.volumes
	object.get(volume.it, "hostPath", null) != null
	v := {
		"path": array.concat(volume.path, ["hostPath"]),
		"message": sprintf("The volume %s is a folder of the host.", [json.marshal(volume.name)]),
	}
}
