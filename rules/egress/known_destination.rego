# METADATA
# title: Data flows only to a known destination
# description: A flow must name a connector, or an address that belongs to one which the app was deployed with, bring the app an answer of one, or be an event.
# custom:
#   id: EGR-003
#   severity: critical
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.5.14", "SOC2:CC6.7", "GDPR:Art.44", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: Send the data to a connector from the app's manifest.
package platform.rules.egress.known_destination

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.event
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	count(_known) == 0
	v := {
		"path": ["resource", "destination"],
		"message": "The destination is no connector that this app was deployed with, so no data may go there.",
	}
}

_known contains c.name if {
	some c in destination.entries
	some used in manifest.connectors
	used.name == c.name
}

_known contains name if {
	answer.is_answer
	name := input.resource.source
	name in registry.usable
	some used in manifest.connectors
	used.name == name
}

# Which app may have an event is EVT-006's and EVT-007's to say.
_known contains "event" if event.is_event
