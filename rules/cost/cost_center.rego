# METADATA
# title: Every app has a cost center of its tenant
# description: The cost center is present, written as finance writes it, and belongs to the app's business area.
# custom:
#   id: COST-001
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.9", "SOC2:A1.1", "GDPR:Art.24", "NIST-SP-800-53:CM-8"]
#   remediation: Use one of your business area's cost centers, such as MK-42.
package platform.rules.cost.cost_center

import data.platform.lib.lists

deny contains v if {
	center := object.get(input, ["app", "costCenter"], "")
	not _is_own(center)
	v := {
		"path": ["app", "costCenter"],
		"message": sprintf("The cost center %s is not one of the tenant's.", [json.marshal(center)]),
	}
}

_is_own(center) if {
	is_string(center)
	regex.match(data.platform.costs.cost_center_pattern, center)
	center in lists.at(["facts", "tenant", "cost_centers"])
}
