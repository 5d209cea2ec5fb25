# METADATA
# title: Special categories flow with consent
# description: A flow of special categories of personal data names the consent it rests on, given for the purpose of the flow.
# custom:
#   id: DATA-014
#   severity: critical
#   applies_to: [data_flow]
#   controls: ["GDPR:Art.7", "GDPR:Art.9", "SOC2:P3.2", "ISO-27001:A.5.34", "NIST-SP-800-53:PT-4"]
#   remediation: "Leave the data out, or add consent: {reference, purposes} with the flow's purpose among the purposes."
package platform.rules.data.consent

import data.platform.lib.findings
import data.platform.lib.lists

deny contains v if {
	some found in findings.pii
	found.class == "special"
	not _is_given
	v := {
		"path": array.concat(["resource"], found.segments),
		"message": sprintf("Data of the class special (%s) needs a consent that was given for this purpose.", [found.entity]),
	}
}

_is_given if {
	consent := input.resource.consent
	count(trim_space(lists.text_of(consent, "reference"))) > 0
	purpose := input.resource.purpose
	is_string(purpose)
	purpose in lists.of(consent, "purposes")
}
