# METADATA
# title: Connectors keep data where the app may send it
# description: Each region of a connector must be within reach of every region in which the app keeps its data.
# custom:
#   id: DATA-005
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow]
#   controls: ["GDPR:Art.44", "ISO-27001:A.5.34", "SOC2:CC6.7", "NIST-SP-800-53:SA-9"]
#   remediation: Use a connector that keeps its data in the app's region.
package platform.rules.data.connector_regions

import data.platform.lib.lists
import data.platform.lib.registry

deny contains v if {
	some used in registry.requested
	not used.name in _within_reach
	v := {
		"path": used.path,
		"message": sprintf("The connector %s keeps data outside the regions this app's data may go to.", [json.marshal(used.name)]),
	}
}

_within_reach contains c.name if {
	some c in registry.entries
	count(c.regions) > 0
	every region in c.regions {
		region in _reach
	}
}

# Regions that every one of the app's own regions reaches; none when the app has none.
_reach contains region if {
	some region in data.platform.residency.allowed
	count(lists.at(["app", "data", "residency"])) > 0
	every home in lists.at(["app", "data", "residency"]) {
		region in object.get(data.platform.residency.reach, home, [])
	}
}
