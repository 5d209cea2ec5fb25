# METADATA
# title: An app answers in its regions alone
# description: The gateway that holds the request stands in one of the regions that the app's data may be in.
# custom:
#   id: GW-004
#   severity: high
#   applies_to: [app_call, app_answer]
#   controls: ["ISO-27001:A.5.31", "SOC2:CC6.7", "GDPR:Art.44", "NIST-SP-800-53:SC-7"]
#   remediation: Call the app at a gateway in one of its regions.
package platform.rules.gateway.region

import data.platform.lib.lists

deny contains v if {
	region := lists.text_of(object.get(input, "resource", {}), "region")
	not region in lists.at(["app", "data", "residency"])
	v := {
		"path": ["resource", "region"],
		"message": sprintf("The app's data may not be in the region %s.", [json.marshal(region)]),
	}
}
