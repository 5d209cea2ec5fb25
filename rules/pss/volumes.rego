# METADATA
# title: Only volumes that hold the pod's own data
# description: A volume comes from the cluster's storage and configuration, never from the node or a file server that the pod names itself.
# custom:
#   id: PSS-016
#   severity: medium
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:CM-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Use a persistent volume claim, configMap, secret, emptyDir, projected, csi, ephemeral, image or downwardAPI."
package platform.rules.pss.volumes

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"volumes" in pss.checks
	some volume in pods.volumes
	some source, value in volume.it
	value != null
	source != "name"
	not source in data.platform.pss.volumes
	v := {
		"path": array.concat(volume.path, [source]),
		"message": sprintf("The volume %s comes from %s.", [json.marshal(volume.name), json.marshal(source)]),
	}
}
