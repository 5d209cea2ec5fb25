# METADATA
# title: The egress list is written down
# description: A manifest says which hosts the app reaches, even if there are none; a list that is missing is not an empty one.
# custom:
#   id: EGR-006
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: "Add an egress list with the hosts of the app's connectors, or an empty one: egress: []."
package platform.rules.egress.declared

deny contains v if {
	egress := object.get(input, ["app", "egress"], null)
	not is_array(egress)
	v := {
		"path": ["app", "egress"],
		"message": "The manifest has no list of hosts that the app may reach.",
		"fix": [{"op": "add", "path": ["app", "egress"], "value": []}],
	}
}
