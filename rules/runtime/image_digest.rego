# METADATA
# title: Images are pinned and come from our registry
# description: An app that starts from an image names it by digest, from a registry that the platform scans.
# custom:
#   id: RUN-004
#   severity: critical
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "SLSA:L2", "GDPR:Art.32", "NIST-SP-800-53:SI-7", "NIST-SP-800-53:SR-4"]
#   remediation: "Use registry/name@sha256:digest from the platform's registry, as the pipeline prints it."
package platform.rules.runtime.image_digest

import data.platform.lib.artifact

deny contains v if {
	input.app.runtime.class in data.platform.runtime.from_image
	image := artifact.image
	not artifact.is_pinned(image)
	v := {
		"path": ["app", "runtime", "image"],
		"message": sprintf("The image %s is not pinned by a digest.", [json.marshal(image)]),
	}
}

deny contains v if {
	input.app.runtime.class in data.platform.runtime.from_image
	image := artifact.image
	not _is_ours(image)
	v := {
		"path": ["app", "runtime", "image"],
		"message": sprintf("The image %s does not come from a registry that the platform scans.", [json.marshal(image)]),
	}
}

_is_ours(image) if {
	is_string(image)
	split(image, "/")[0] in data.platform.runtime.image_registries
}
