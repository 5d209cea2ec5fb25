# METADATA
# title: Deprecated connectors are on their way out
# description: A deprecated connector still works, but its users are told.
# custom:
#   id: CONN-003
#   severity: low
#   effect: warn
#   applies_to: [template, deploy, connector_call, data_flow]
#   controls: ["ISO-27001:A.5.23", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-22"]
#   remediation: Plan the move to the connector that replaces it before its retirement day.
package platform.rules.connectors.deprecated

import data.platform.lib.registry

deny contains v if {
	some c in registry.entries
	c.state == "deprecated"
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q is deprecated and will be switched off.", [c.name]),
	}
}
