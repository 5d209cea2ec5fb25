# METADATA
# title: "Secrets are handed over one by one"
# description: "No job inherits or lists all secrets of the repository: each that is needed is named."
# custom:
#   id: PIPE-006
#   severity: high
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: "Name each secret that the job needs."
package platform.rules.pipeline.all_secrets

import data.platform.lib.lists
import data.platform.lib.workflows

deny contains v if {
	some job in workflows.jobs
	lists.text_of(job.it, "secrets") != ""
	v := {
		"path": array.concat(job.path, ["secrets"]),
		"message": "This hands every secret of the repository to another workflow.",
	}
}

deny contains v if {
	some part in workflows.steps | workflows.jobs
	is_object(part.it)
	text := replace(lower(json.marshal(object.remove(part.it, ["steps"]))), " ", "")
	regex.match(`tojson\(secrets\)|[^a-z0-9_.]secrets\[[^'\\]`, text)
	v := {
		"path": part.path,
		"message": "This takes secrets without naming which.",
	}
}
