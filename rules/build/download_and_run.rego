# METADATA
# title: "Nothing is run that was just downloaded"
# description: "No command of a build or workflow hands a download to an interpreter: nobody has seen what it runs."
# custom:
#   id: BLD-001
#   severity: high
#   applies_to: [image_build, pipeline]
#   controls: ["ISO-27001:A.8.28", "SLSA:L2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:SR-3"]
#   remediation: "Download to a file, compare its checksum with one in the repository, then run it."
package platform.rules.build.download_and_run

import data.platform.lib.commands

deny contains v if {
	some command in commands.all
	some pattern in data.platform.build.download_and_run
	regex.match(pattern, command.text)
	v := {
		"path": command.path,
		"message": "This command runs what it downloads.",
	}
}
