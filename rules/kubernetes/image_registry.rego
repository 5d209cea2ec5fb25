# METADATA
# title: Container images come from our registries
# description: The image of every container, and of every volume that is one, comes from a registry that the platform scans.
# custom:
#   id: KUB-003
#   severity: critical
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "CIS-Kubernetes-1.8:5.5.1", "GDPR:Art.32", "NIST-SP-800-53:SR-3"]
#   remediation: "Push the image to the platform's registry and name it there."
package platform.rules.kubernetes.image_registry

import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some image in pods.images
	not split(image.text, "/")[0] in data.platform.kubernetes.registries
	v := {
		"path": image.path,
		"message": sprintf("The image %s of the %s is from no registry that the platform scans.", [json.marshal(image.text), image.who]),
		"effect": workload.effect,
	}
}
