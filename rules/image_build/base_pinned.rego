# METADATA
# title: "Images are built on a pinned base"
# description: "Every image that a build starts from or copies out of is named by its digest."
# custom:
#   id: IMG-001
#   severity: high
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.8.32", "SLSA:L2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:SR-4"]
#   remediation: "Write the image as name@sha256:digest; a tool can keep it fresh."
package platform.rules.image_build.base_pinned

import data.platform.lib.builds
import data.platform.lib.lists

deny contains v if {
	some found in builds.outside
	not found.image in data.platform.image_build.empty_bases
	not regex.match(data.platform.image_build.pinned_pattern, found.image)
	v := {
		"path": found.path,
		"message": sprintf("The image %s is not pinned by a digest.", [json.marshal(found.image)]),
	}
}

deny contains v if {
	count(lists.at(["resource", "stages"])) == 0
	v := {
		"path": ["resource", "stages"],
		"message": "The build has no stage, so nobody can say what it starts from.",
	}
}
