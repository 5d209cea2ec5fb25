# METADATA
# title: Documents follow their schema
# description: A document that its schema does not accept is refused, and so is one that nobody checked.
# custom:
#   id: REQ-006
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, app_call, app_answer, publish, lifecycle, registry_entry, consent, revocation]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:SI-10"]
#   remediation: Correct the document at the place that the message names.
package platform.rules.request.schema

import data.platform.lib.findings
import data.platform.lib.lists

deny contains v if {
	some error in lists.at(["facts", "schema_errors"])
	v := {
		"path": array.concat(["resource"], findings.segments(lists.text_of(error, "pointer"))),
		"message": sprintf("The document does not follow its schema: %s", [lists.text_of(error, "message")]),
	}
}

deny contains v if {
	errors := object.get(input, ["facts", "schema_errors"], null)
	not is_array(errors)
	v := {
		"path": ["resource"],
		"message": "Nobody checked the document against its schema.",
	}
}
