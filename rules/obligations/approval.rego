# METADATA
# title: Approvals that are still missing
# description: Which role has to agree, and to what.
# custom:
#   type: approval
#   applies_to: [template, deploy, publish]
package platform.obligations.approval

import data.platform.rules.audience.widening
import data.platform.rules.data.special_category
import data.platform.rules.review.findings
import data.platform.rules.review.missing
import data.platform.rules.template.extra_connectors

oblige contains value if {
	some v in _waiting
	value := {"role": v.details.role, "path": v.path}
}

_waiting contains v if some v in widening.deny

_waiting contains v if {
	input.kind in {"template", "deploy"}
	some v in special_category.deny
}

_waiting contains v if {
	input.kind == "deploy"
	some v in extra_connectors.deny
}

_waiting contains v if some v in findings.deny

_waiting contains v if some v in missing.deny
