# METADATA
# title: Apps subscribe to events that are open to them
# description: A subscription names a deployed app that publishes the type of event, of the same tenant or one that shares it.
# custom:
#   id: EVT-003
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.3", "SOC2:CC6.1", "GDPR:Art.25", "NIST-SP-800-53:AC-3", "NIST-SP-800-53:AC-4"]
#   remediation: Ask the app's owner to publish the event, or to share it with your tenant.
package platform.rules.events.subscription

import data.platform.lib.event
import data.platform.lib.lists

deny contains v if {
	some i, used in lists.at(["app", "events", "subscribes"])
	not _is_open(i)
	v := {
		"path": ["app", "events", "subscribes", i],
		"message": sprintf("No app %s publishes the event %s for the tenant %s.", [
			json.marshal(lists.text_of(used, "app")),
			json.marshal(lists.text_of(used, "type")),
			json.marshal(object.get(input, "tenant", "")),
		]),
	}
}

_is_open(i) if {
	some row in lists.at(["facts", "events", "subscriptions"])
	row.index == i
	row.known == true
	row.state in data.platform.lifecycle.may_act
	event.is_open(row, object.get(input, "tenant", ""))
}
