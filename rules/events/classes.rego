# METADATA
# title: Events carry classes of data that both ends declare
# description: An event's classes are among those its app declares; who subscribes declares those that could not be masked.
# custom:
#   id: EVT-004
#   severity: high
#   applies_to: [deploy]
#   controls: ["GDPR:Art.25", "ISO-27001:A.5.12", "SOC2:C1.1", "NIST-SP-800-53:AC-4"]
#   remediation: Declare the class under data.classes, or leave it out of the event.
package platform.rules.events.classes

import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	some i, published in lists.at(["app", "events", "publishes"])
	some j, class in lists.of(published, "classes")
	not class in _own
	v := {
		"path": ["app", "events", "publishes", i, "classes", j],
		"message": sprintf("The event carries data of the class %s, which the app does not declare.", [json.marshal(class)]),
	}
}

deny contains v if {
	some row in lists.at(["facts", "events", "subscriptions"])
	some class in lists.of(row, "classes")
	not class in _own
	not class in data.platform.classes.maskable
	v := {
		"path": ["app", "events", "subscribes", row.index],
		"message": sprintf("The event carries data of the class %s, which this app does not declare.", [json.marshal(class)]),
	}
}

_own contains class if {
	some class in manifest.classes
	class in data.platform.classes.known
}

_own contains class if some class in data.platform.classes.free
