# METADATA
# title: "Resources lie in regions that are allowed"
# description: "Each resource that lies somewhere lies in a region that the platform offers and, where the tenant is known, has chosen."
# custom:
#   id: INF-005
#   severity: high
#   applies_to: [infrastructure]
#   controls: ["GDPR:Art.44", "ISO-27001:A.5.34", "SOC2:CC8.1", "NIST-SP-800-53:SA-9"]
#   remediation: "Choose a region of your business area; rules/data/platform/infrastructure.yaml lists the providers' names."
package platform.rules.infrastructure.region

import data.platform.lib.lists
import data.platform.lib.regions

deny contains v if {
	some found in regions.all
	not found.place in data.platform.infrastructure.not_regional
	not _is_allowed(found.place)
	v := {
		"path": found.path,
		"message": sprintf("%s lies in no region that is allowed here.", [json.marshal(found.place)]),
	}
}

deny contains v if {
	some found in regions.untold
	v := {
		"path": found.path,
		"message": "The plan does not say in which region this provider works.",
	}
}

_is_allowed(place) if {
	some region in data.platform.residency.allowed
	_is_offered(region)
	regions.region_of(place) in object.get(data.platform.infrastructure.regions, region, [])
}

_is_offered(_) if object.get(input, "tenant", "") == ""

_is_offered(region) if region in lists.at(["facts", "tenant", "regions"])
