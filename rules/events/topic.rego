# METADATA
# title: Apps publish the events they declared
# description: An event is of a type that the app was deployed with, and follows the schema declared for it.
# custom:
#   id: EVT-006
#   severity: high
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.8.26", "SOC2:PI1.2", "GDPR:Art.5", "NIST-SP-800-53:SI-10"]
#   remediation: Declare the type with its schema under events.publishes and deploy; send what the schema says.
package platform.rules.events.topic

import data.platform.lib.event
import data.platform.lib.lists

deny contains v if {
	event.is_topic
	object.get(event.fact, "declared", false) != true
	v := {
		"path": ["resource", "destination", "topic"],
		"message": sprintf("The app was not deployed with events of the type %s.", [json.marshal(input.resource.destination.topic)]),
	}
}

deny contains v if {
	event.is_topic
	event.fact.declared == true
	not is_array(object.get(event.fact, "schema_errors", null))
	v := {
		"path": ["resource", "payload"],
		"message": "Nobody held the event against its schema.",
	}
}

deny contains v if {
	event.is_topic
	some error in lists.of(event.fact, "schema_errors")
	v := {
		"path": ["resource", "payload"],
		"message": sprintf("The event does not follow its schema at %s: %s.", [
			json.marshal(lists.text_of(error, "pointer")),
			lists.text_of(error, "message"),
		]),
	}
}
