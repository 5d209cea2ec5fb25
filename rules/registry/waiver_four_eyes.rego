# METADATA
# title: "A waiver has two people behind it"
# description: "Who owns a waiver has not approved it."
# custom:
#   id: REG-001
#   severity: high
#   applies_to: [registry_entry]
#   controls: ["ISO-27001:A.5.3", "SOC2:CC1.3", "GDPR:Art.24", "NIST-SP-800-53:AC-5"]
#   remediation: "Ask somebody else to approve it."
package platform.rules.registry.waiver_four_eyes

import data.platform.lib.lists

deny contains v if {
	input.resource.kind == "Waiver"
	spec := lists.object_of(input.resource, "spec")
	not _are_two(_plain(spec, "owner"), _plain(spec, "approver"))
	v := {
		"path": ["resource", "spec", "approver"],
		"message": "The waiver's owner and its approver have to be two people.",
	}
}

_plain(spec, member) := lower(trim_space(lists.text_of(spec, member)))

_are_two(owner, approver) if {
	owner != ""
	approver != ""
	owner != approver
}
