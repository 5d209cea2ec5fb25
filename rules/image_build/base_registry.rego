# METADATA
# title: "Bases come from a scanned registry"
# description: "Every image that a build starts from or copies out of comes from a registry that the platform scans."
# custom:
#   id: IMG-002
#   severity: high
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.5.19", "SLSA:L2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:SR-3"]
#   remediation: "Use the platform's copy of the image, or ask the platform team to mirror it."
package platform.rules.image_build.base_registry

import data.platform.lib.builds

deny contains v if {
	some found in builds.outside
	not found.image in data.platform.image_build.empty_bases
	not split(found.image, "/")[0] in data.platform.runtime.image_registries
	v := {
		"path": found.path,
		"message": sprintf("The image %s does not come from a registry that the platform scans.", [json.marshal(found.image)]),
	}
}

# `# syntax=` names a program that reads the file in the builder's place, and may make of it what it likes.
deny contains v if {
	is_object(input.resource)
	some name, frontend in input.resource
	name == "frontend"
	not _is_known(frontend)
	v := {
		"path": ["resource", "frontend"],
		"message": sprintf("The image %s would read this file in the builder's place.", [json.marshal(frontend)]),
	}
}

_is_known(frontend) if {
	is_string(frontend)
	regex.match(data.platform.image_build.frontend_pattern, frontend)
}

_is_known(frontend) if {
	is_string(frontend)
	split(frontend, "/")[0] in data.platform.runtime.image_registries
}
