# METADATA
# title: Serious review findings need a person
# description: A finding of the design review that is not clearly minor waits for an approval; a review never loosens anything.
# custom:
#   id: REV-002
#   severity: medium
#   effect: require_approval
#   applies_to: [template, deploy, publish]
#   controls: ["ISO-27001:A.8.25", "SOC2:CC3.2", "GDPR:Art.35", "NIST-SP-800-53:CM-4", "NIST-SP-800-53:SA-11"]
#   remediation: Change what the finding names, or ask the platform team to accept it.
package platform.rules.review.findings

import data.platform.lib.approvals
import data.platform.lib.findings
import data.platform.lib.lists

deny contains v if {
	some finding in lists.at(["facts", "review", "findings"])
	severity := lists.text_of(finding, "severity")
	not severity in data.platform.review.tolerated
	not data.platform.approvals.review_finding in approvals.given
	v := {
		"path": array.concat(["resource"], findings.segments(lists.text_of(finding, "pointer"))),
		"message": sprintf("The design review found a problem rated %s.", [json.marshal(severity)]),
		"details": {"role": data.platform.approvals.review_finding},
	}
}
