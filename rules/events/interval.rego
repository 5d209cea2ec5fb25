# METADATA
# title: Schedules leave time between two events
# description: Two times of a schedule are at least as far apart as the business area's shortest interval.
# custom:
#   id: EVT-002
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.32", "NIST-SP-800-53:SC-6"]
#   remediation: Let the schedule come less often, or ask the platform team for a shorter interval.
package platform.rules.events.interval

import data.platform.lib.lists

deny contains v if {
	some i, _ in lists.at(["app", "events", "schedules"])
	not _is_seldom(i)
	v := {
		"path": ["app", "events", "schedules", i, "cron"],
		"message": sprintf("This schedule comes more often than every %s seconds, or nobody can say how often.", [json.marshal(_shortest)]),
	}
}

_is_seldom(i) if {
	some row in lists.at(["facts", "events", "schedules"])
	row.index == i
	is_number(row.shortest_s)
	row.shortest_s >= _shortest
}

_area := lists.text_of(object.get(input, ["facts", "tenant"], {}), "business_area")

_shortest := object.get(data.platform.events.shortest_interval_s, _area, data.platform.events.shortest_interval_s["*"])
