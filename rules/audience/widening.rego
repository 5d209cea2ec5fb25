# METADATA
# title: A wide audience needs an approval
# description: An app that is to reach a whole tenant or more waits until the compliance team has agreed.
# custom:
#   id: AUD-002
#   severity: high
#   effect: require_approval
#   applies_to: [deploy, publish]
#   controls: ["ISO-27001:A.5.15", "GDPR:Art.25", "SOC2:CC6.2", "NIST-SP-800-53:AC-6", "NIST-SP-800-53:AC-21"]
#   remediation: Ask the compliance team for an approval, or choose a narrower audience.
package platform.rules.audience.widening

import data.platform.lib.approvals

deny contains v if {
	some place in _places
	role := data.platform.audience.approver[place.audience]
	not _is_already_reached(place.audience)
	not role in approvals.given
	v := {
		"path": place.path,
		"message": sprintf("The audience %q needs an approval of the %s team.", [place.audience, role]),
		"details": {"role": role},
	}
}

_places contains place if {
	input.kind == "deploy"
	place := {"audience": input.app.audience, "path": ["app", "audience"]}
}

_places contains place if {
	input.kind == "publish"
	place := {"audience": input.resource.change.audience, "path": ["resource", "change", "audience"]}
}

# The last allowed deploy already went as far, and that was agreed to then.
_is_already_reached(audience) if {
	width := data.platform.audience.width
	input.facts.app.known == true
	width[audience] <= width[input.facts.app.spec.audience]
}
