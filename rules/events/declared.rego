# METADATA
# title: What a manifest says about events can be done
# description: Schemas, transformations and schedules are readable, no name stands twice, and webhooks and schedules bring events that the app publishes.
# custom:
#   id: EVT-001
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.26", "SOC2:PI1.2", "GDPR:Art.25", "NIST-SP-800-53:SI-10"]
#   remediation: Correct the place that is named; governance events try shows what a transformation makes of an event.
package platform.rules.events.declared

import data.platform.lib.lists

deny contains v if {
	some problem in _problems
	v := {
		"path": array.concat(["app", "events"], lists.of(problem, "path")),
		"message": sprintf("This %s.", [lists.text_of(problem, "message")]),
	}
}

deny contains v if {
	input.app.events
	not _was_read
	v := {
		"path": ["app", "events"],
		"message": "Nobody could read what the manifest says about events.",
	}
}

_problems := lists.at(["facts", "events", "problems"])

_was_read if is_array(input.facts.events.problems)
