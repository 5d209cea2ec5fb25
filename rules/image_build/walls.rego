# METADATA
# title: "Builds stay in their sandbox"
# description: "No RUN asks for the machine's network or for rights that the builder's sandbox takes away."
# custom:
#   id: IMG-006
#   severity: high
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.8.31", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-39"]
#   remediation: "Leave the flag out; fetch what is needed in a step of its own."
package platform.rules.image_build.walls

import data.platform.lib.lists

deny contains v if {
	some i, instruction in lists.at(["resource", "instructions"])
	flags := lists.object_of(instruction, "flags")
	some flag in object.keys(flags)
	some value in lists.of(flags, flag)
	value in object.get(data.platform.image_build.refused_flags, flag, [])
	v := {
		"path": ["resource", "instructions", i, "flags", flag],
		"message": sprintf("The flag --%s=%s takes down a wall between the build and its machine.", [flag, value]),
	}
}
