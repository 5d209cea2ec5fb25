# METADATA
# title: Data stays in regions that are allowed
# description: An app keeps its data in regions that the platform offers and its tenant has chosen.
# custom:
#   id: DATA-004
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["GDPR:Art.44", "ISO-27001:A.5.34", "SOC2:CC6.7", "NIST-SP-800-53:AC-4"]
#   remediation: Choose one of your business area's regions under data.residency.
package platform.rules.data.residency

import data.platform.lib.lists

deny contains v if {
	count(lists.at(["app", "data", "residency"])) == 0
	v := {
		"path": ["app", "data", "residency"],
		"message": "The manifest does not say in which region the data is kept.",
	}
}

deny contains v if {
	some i, region in lists.at(["app", "data", "residency"])
	not region in _allowed
	v := {
		"path": ["app", "data", "residency", i],
		"message": sprintf("Data may not be kept in the region %s.", [json.marshal(region)]),
	}
}

_allowed contains region if {
	input.kind == "template"
	some region in data.platform.residency.allowed
}

_allowed contains region if {
	input.kind == "deploy"
	some region in data.platform.residency.allowed
	region in lists.at(["facts", "tenant", "regions"])
}
