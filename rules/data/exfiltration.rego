# METADATA
# title: Personal data goes only where it is cleared for
# description: Personal data found in what leaves must be of a class that the destination is cleared for, or that may be masked for an approved one.
# custom:
#   id: DATA-008
#   severity: critical
#   applies_to: [connector_call, data_flow]
#   controls: ["GDPR:Art.5", "GDPR:Art.32", "ISO-27001:A.8.12", "SOC2:CC6.7", "NIST-SP-800-53:AC-4"]
#   remediation: Leave the personal data out, or send it to a connector that is cleared for it.
package platform.rules.data.exfiltration

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.event
import data.platform.lib.protection

deny contains v if {
	some found in protection.exposed
	not _can_be_masked(found)
	v := {
		"path": array.concat(["resource"], found.segments),
		"message": sprintf("Data of the class %q (%s) may not go to this destination.", [found.class, found.entity]),
		"details": {"class": found.class, "entity": found.entity},
	}
}

# No findings is a finding; no answer from the scanner is none.
deny contains v if {
	found := object.get(input, ["facts", "pii"], null)
	not is_array(found)
	v := {
		"path": ["resource"],
		"message": "Nobody looked for personal data in what is to leave, so it stays.",
	}
}

# Only a payload can be masked, and only for a destination that is known.
_can_be_masked(found) if {
	found.class in data.platform.classes.maskable
	input.kind == "data_flow"
	found.segments[0] == "payload"
	count(destination.entries) > 0
}

_can_be_masked(found) if {
	found.class in data.platform.classes.maskable
	found.segments[0] == "payload"
	answer.is_answer
}

# A header of an answer is left out as a whole.
_can_be_masked(found) if {
	found.class in data.platform.classes.maskable
	found.segments[0] == "headers"
	answer.is_answer
}

_can_be_masked(found) if {
	found.class in data.platform.classes.maskable
	found.segments[0] == "payload"
	event.is_event
}
