# METADATA
# title: Calls keep to the connector's pace
# description: Within any sixty seconds an app makes no more calls to a connector than the connector grants to its business area.
# custom:
#   id: CONN-010
#   severity: medium
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Wait a minute and call less often, or ask the connector's owner for a higher limit.
package platform.rules.connectors.paced

import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.metering

deny contains v if {
	some c in destination.entries
	limit := object.get(c.per_minute, _area, object.get(c.per_minute, "*", data.platform.usage.per_minute))
	made := object.get(input, ["facts", "usage", "calls_last_minute", c.name], 0)
	not _is_left(made, limit)
	v := {
		"path": ["resource", "connector"],
		"message": sprintf("The app has made %s calls to the connector %q within a minute; %s are granted.", [
			json.marshal(made), c.name, json.marshal(limit),
		]),
	}
}

# Where calls are metered, a count that is missing is a meter that failed.
deny contains v if {
	metering.is_on
	not input.facts.usage.calls_last_minute
	v := {
		"path": ["resource", "connector"],
		"message": "Nobody can say how many calls were made within a minute, so this one has to wait.",
	}
}

_area := lists.text_of(object.get(input, ["facts", "tenant"], {}), "business_area")

_is_left(made, limit) if {
	is_number(made)
	is_number(limit)
	made < limit
}
