# METADATA
# title: Harmless details do not add up to a person
# description: Details that identify somebody only together may leave together only where personal data may, or made coarser.
# custom:
#   id: DATA-013
#   severity: high
#   applies_to: [connector_call, data_flow]
#   controls: ["GDPR:Art.25", "ISO-27001:A.8.11", "SOC2:C1.1", "NIST-SP-800-53:AC-4"]
#   remediation: Leave one of the details out, or send them to a connector that is cleared for personal data.
package platform.rules.data.aggregation

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.event
import data.platform.lib.protection

deny contains v if {
	not "personal" in destination.cleared
	some together in protection.identifying
	not _can_be_coarser(together)
	v := {
		"path": array.concat(["resource"], together.record),
		"message": sprintf("Together these identify a person: %s.", [concat(", ", sort({f.entity | some f in together.findings}))]),
	}
}

# Only a payload can be changed, and only for a destination that is known.
_can_be_coarser(together) if {
	input.kind == "data_flow"
	_is_known
	every found in together.findings {
		found.segments[0] == "payload"
	}
}

_is_known if count(destination.entries) > 0

_is_known if answer.is_answer

_is_known if event.is_event
