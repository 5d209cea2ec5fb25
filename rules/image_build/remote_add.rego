# METADATA
# title: "ADD fetches nothing"
# description: "ADD takes files of the repository, no address: what an address gives can change between two builds."
# custom:
#   id: IMG-005
#   severity: medium
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.8.28", "SLSA:L2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:SR-3"]
#   remediation: "Download in a RUN step and compare a checksum, or COPY a file that is in the repository."
package platform.rules.image_build.remote_add

import data.platform.lib.lists

deny contains v if {
	some i, instruction in lists.at(["resource", "instructions"])
	lists.text_of(instruction, "name") == "ADD"
	some j, source in lists.of(instruction, "sources")
	not _is_local(source)
	v := {
		"path": ["resource", "instructions", i, "sources", j],
		"message": "ADD would fetch this while building.",
	}
}

_is_local(source) if {
	is_string(source)
	not regex.match(data.platform.image_build.remote_pattern, lower(source))
}
