# METADATA
# title: No images that move
# description: A tag such as latest, or none at all, is another image tomorrow.
# custom:
#   id: KUB-004
#   severity: medium
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-2"]
#   remediation: "Name a version in the tag, beside the digest."
package platform.rules.kubernetes.image_latest

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some c in pods.containers
	image := lists.text_of(c.it, "image")
	_moves(image)
	v := {
		"path": array.concat(c.path, ["image"]),
		"message": sprintf("The image %s of the %s is whatever is newest.", [json.marshal(image), c.who]),
		"effect": workload.effect,
	}
}

# Behind the last slash: a colon before it belongs to the registry's port.
_name(image) := regex.replace(split(image, "@")[0], `^.*/`, "")

_moves(image) if split(_name(image), ":")[1] in data.platform.kubernetes.moving_tags

_moves(image) if {
	not contains(image, "@")
	not contains(_name(image), ":")
}
