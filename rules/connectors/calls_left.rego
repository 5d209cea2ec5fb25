# METADATA
# title: Calls stay within today's limit
# description: Once a connector's calls of the day are used up for a business area, further calls wait until tomorrow.
# custom:
#   id: CONN-006
#   severity: medium
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Try again tomorrow, or ask the connector's owner for a higher limit.
package platform.rules.connectors.calls_left

import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.metering

deny contains v if {
	some c in destination.entries
	limit := object.get(c.limits, _area, object.get(c.limits, "*", 0))
	used := object.get(input, ["facts", "usage", "calls_today", c.name], 0)
	not _is_left(used, limit)
	v := {
		"path": ["resource", "connector"],
		"message": sprintf("Today's %s calls of the connector %q are used up for this business area.", [json.marshal(limit), c.name]),
	}
}

# Where calls are metered, a count that is missing is a meter that failed.
deny contains v if {
	metering.is_on
	not input.facts.usage.calls_today
	v := {
		"path": ["resource", "connector"],
		"message": "Nobody can say how many calls were made today, so this one has to wait.",
	}
}

_area := lists.text_of(object.get(input, ["facts", "tenant"], {}), "business_area")

_is_left(used, limit) if {
	is_number(used)
	is_number(limit)
	used < limit
}
