# METADATA
# title: Container images come from our registries
# description: Every container's image comes from a registry that the platform scans.
# custom:
#   id: KUB-003
#   severity: critical
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "CIS-Kubernetes-1.8:5.5.1", "GDPR:Art.32", "NIST-SP-800-53:SR-3"]
#   remediation: "Push the image to the platform's registry and name it there."
package platform.rules.kubernetes.image_registry

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some c in pods.containers
	image := lists.text_of(c.it, "image")
	not split(image, "/")[0] in data.platform.kubernetes.registries
	v := {
		"path": array.concat(c.path, ["image"]),
		"message": sprintf("The image %s of the %s is from no registry that the platform scans.", [json.marshal(image), c.who]),
		"effect": workload.effect,
	}
}
