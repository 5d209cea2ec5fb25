# METADATA
# title: Nothing is deleted too early or under legal hold
# description: An app and its data may be deleted after its time in the archive, and never while a legal hold is on it.
# custom:
#   id: LIFE-002
#   severity: critical
#   applies_to: [lifecycle]
#   controls: ["ISO-27001:A.5.33", "GDPR:Art.17", "SOC2:P4.3", "NIST-SP-800-53:SI-12", "NIST-SP-800-53:AU-11"]
#   remediation: Wait until the archive time is over, and ask the compliance team about holds.
package platform.rules.lifecycle.delete

import data.platform.lib.instants

deny contains v if {
	input.resource.change.to == "deleted"
	object.get(input, ["facts", "app", "legal_hold"], null) != false
	v := {
		"path": ["resource", "change", "to"],
		"message": "The app is under legal hold, or nobody can say that it is not.",
	}
}

deny contains v if {
	input.resource.change.to == "deleted"
	not _has_rested
	v := {
		"path": ["resource", "change", "to"],
		"message": sprintf("An app rests in the archive for %d days before it may be deleted.", [data.platform.lifecycle.days_before_delete]),
	}
}

_has_rested if {
	since := instants.nanoseconds(object.get(input, ["facts", "app", "state_since"], ""))
	now := instants.nanoseconds(object.get(input, "now", ""))
	now - since >= ((data.platform.lifecycle.days_before_delete * 86400) * 1000) * 1000000
}
