# METADATA
# title: A flow's stated region is the registered one
# description: Where a flow names a region, the destination must be registered for it, and the app's data may go there.
# custom:
#   id: DATA-006
#   severity: high
#   applies_to: [data_flow]
#   controls: ["GDPR:Art.44", "ISO-27001:A.5.34", "SOC2:CC6.7", "NIST-SP-800-53:SA-9"]
#   remediation: Name the region that the catalog gives for the destination, or leave it out.
package platform.rules.data.flow_region

import data.platform.lib.destination
import data.platform.lib.lists

deny contains v if {
	region := input.resource.destination.region
	not region in _registered
	v := {
		"path": ["resource", "destination", "region"],
		"message": sprintf("The destination is not registered for the region %s.", [json.marshal(region)]),
	}
}

# An address has no region of its own: what its connector keeps has to be within reach of the app's regions.
deny contains v if {
	object.get(input, ["resource", "destination", "connector"], "") == ""
	some region in _registered
	some home in _homes
	not region in object.get(data.platform.residency.reach, home, [])
	v := {
		"path": ["resource", "destination"],
		"message": sprintf("The destination keeps data in %s, where data from %s may not go.", [json.marshal(region), json.marshal(home)]),
	}
}

_registered contains region if {
	some c in destination.entries
	some region in c.regions
	not _is_elsewhere(c, region)
}

# A region whose hosts are registered is where the flow goes only if its address is one of them.
_is_elsewhere(c, region) if {
	count(destination.urls) == 1
	_is_placed(c)
	not destination.host in lists.of(c.region_hosts, region)
}

# Whether the registry says in which region the address lies.
_is_placed(c) if {
	some region in c.regions
	destination.host in lists.of(c.region_hosts, region)
}

# An app whose regions nobody knows is at home nowhere, and nothing is within reach of that.
_homes := homes if {
	homes := {home | some home in lists.at(["app", "data", "residency"])}
	count(homes) > 0
} else := {"nowhere"}
