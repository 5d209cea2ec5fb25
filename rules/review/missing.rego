# METADATA
# title: A review that failed is done by a person
# description: Where the design review was asked for and could not answer, a person looks instead.
# custom:
#   id: REV-001
#   severity: medium
#   effect: require_approval
#   applies_to: [template, deploy, publish]
#   controls: ["ISO-27001:A.8.25", "SOC2:CC8.1", "GDPR:Art.35", "NIST-SP-800-53:CM-4"]
#   remediation: Ask the platform team to look at the design, or try again later.
package platform.rules.review.missing

import data.platform.lib.approvals
import data.platform.lib.lists

deny contains v if {
	_has_failed
	not data.platform.approvals.review_missing in approvals.given
	v := {
		"path": ["facts", "review"],
		"message": "The design review could not be done.",
		"details": {"role": data.platform.approvals.review_missing},
	}
}

_has_failed if "review" in lists.at(["facts", "unavailable"])

_has_failed if {
	input.facts.review
	object.get(input, ["facts", "review", "status"], "") != "done"
}
