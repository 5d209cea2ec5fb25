# METADATA
# title: Special categories need a second pair of eyes
# description: An app or template that handles special categories of personal data waits for the compliance team's approval.
# custom:
#   id: DATA-009
#   severity: high
#   effect: require_approval
#   applies_to: [template, deploy]
#   controls: ["GDPR:Art.9", "GDPR:Art.35", "SOC2:CC6.7", "ISO-27001:A.5.12", "NIST-SP-800-53:PT-7"]
#   remediation: Do without this data, or ask the compliance team to approve its use.
package platform.rules.data.special_category

import data.platform.lib.approvals
import data.platform.lib.lists

deny contains v if {
	some i, class in lists.at(["app", "data", "classes"])
	class == "special"
	not data.platform.approvals.special_data in approvals.given
	v := {
		"path": ["app", "data", "classes", i],
		"message": "Special categories of personal data need an approval before an app may handle them.",
		"details": {"role": data.platform.approvals.special_data},
	}
}
