# METADATA
# title: "No credentials in build variables"
# description: "No ENV or ARG has the name of a credential: an image's history shows both, with or without a default."
# custom:
#   id: IMG-004
#   severity: critical
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: "Mount it for one command (RUN --mount=type=secret), or let the broker issue it at run time."
package platform.rules.image_build.secret_names

import data.platform.lib.lists

deny contains v if {
	some i, instruction in lists.at(["resource", "instructions"])
	some name, _ in lists.object_of(instruction, "variables")
	regex.match(data.platform.image_build.secret_name_pattern, lower(name))
	v := {
		"path": ["resource", "instructions", i, "variables", name],
		"message": sprintf("The variable %s is named like a credential and would stay in the image.", [json.marshal(name)]),
	}
}
