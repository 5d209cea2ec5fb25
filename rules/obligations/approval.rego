# METADATA
# title: Approvals that are still missing
# description: Which role has to agree, and to what.
# custom:
#   type: approval
#   applies_to: [template, deploy, publish]
package platform.obligations.approval

import data.platform.rules

oblige contains value if {
	some v in _waiting
	value := {"role": v.details.role, "path": v.path}
}

_waiting contains v if some v in rules.audience.widening.deny

_waiting contains v if {
	input.kind in {"template", "deploy"}
	some v in rules.data.special_category.deny
}

_waiting contains v if {
	input.kind == "deploy"
	some v in rules.template.extra_connectors.deny
}

_waiting contains v if some v in rules.review.findings.deny

_waiting contains v if some v in rules.review.missing.deny
