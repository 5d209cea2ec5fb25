# METADATA
# title: Nobody approves their own change
# description: An approval by the person who asks, or by the app's owner, is refused instead of overlooked.
# custom:
#   id: AUD-003
#   severity: high
#   applies_to: [template, deploy, publish, lifecycle]
#   controls: ["ISO-27001:A.5.3", "SOC2:CC5.1", "GDPR:Art.25", "NIST-SP-800-53:AC-5"]
#   remediation: Let somebody else with the right role approve the change.
package platform.rules.audience.four_eyes

import data.platform.lib.lists

deny contains v if {
	some approval in lists.at(["facts", "approvals"])
	by := lists.text_of(approval, "by")
	by in _own
	v := {
		"path": ["facts", "approvals"],
		"message": "The change was approved by the person who asks for it or by the app's owner.",
	}
}

# An approval by nobody is nobody's second pair of eyes.
_own contains ""

_own contains input.subject.id

_own contains input.app.owner
