# METADATA
# title: Container images are pinned
# description: Every container, and every volume that is an image, names its image by digest, so that what runs is what was scanned.
# custom:
#   id: KUB-002
#   severity: critical
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "CIS-Kubernetes-1.8:5.5.1", "GDPR:Art.32", "NIST-SP-800-53:SR-4"]
#   remediation: "Use registry/name@sha256:digest, as the pipeline prints it."
package platform.rules.kubernetes.image_pinned

import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some image in pods.images
	not regex.match(`^[a-z0-9._/:-]+@sha256:[0-9a-f]{64}$`, image.text)
	v := {
		"path": image.path,
		"message": sprintf("The image %s of the %s is not pinned by a digest.", [json.marshal(image.text), image.who]),
		"effect": workload.effect,
	}
}
