# METADATA
# title: Events reach only who subscribed to them
# description: A delivery goes to an active app whose last deploy subscribes to the event, while its publisher still offers it to that tenant, within reach of its regions.
# custom:
#   id: EVT-007
#   severity: critical
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.5.14", "SOC2:CC6.7", "GDPR:Art.25", "GDPR:Art.44", "NIST-SP-800-53:AC-4"]
#   remediation: Deploy the subscribing app with the subscription; the publisher shares the event under events.publishes.
package platform.rules.events.delivery

import data.platform.lib.event
import data.platform.lib.lists

deny contains v if {
	event.is_delivery
	not _is_wanted
	v := {
		"path": ["resource", "destination", "subscription"],
		"message": sprintf("No active app %s subscribes to this event.", [json.marshal(input.resource.destination.app)]),
	}
}

deny contains v if {
	event.is_delivery
	not _is_offered
	v := {
		"path": ["resource", "event"],
		"message": "The event is not published for the subscriber's tenant.",
	}
}

deny contains v if {
	event.is_delivery
	not _is_within_reach
	v := {
		"path": ["resource", "destination", "app"],
		"message": "The subscriber keeps data outside the regions that this app's data may go to.",
	}
}

_is_wanted if {
	event.fact.known == true
	event.fact.subscribed == true
	event.subscriber.name == input.resource.destination.app
	event.subscriber.state in data.platform.lifecycle.may_act
}

_is_offered if {
	event.fact.published == true
	event.is_open(event.fact, lists.text_of(event.subscriber, "tenant"))
}

# Every region of the subscriber, from every region of the publisher; who names none is nowhere.
_is_within_reach if {
	homes := lists.at(["app", "data", "residency"])
	regions := lists.of(event.subscriber, "residency")
	count(homes) > 0
	count(regions) > 0
	every home in homes {
		every region in regions {
			region in object.get(data.platform.residency.reach, home, [])
		}
	}
}
