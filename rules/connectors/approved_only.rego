# METADATA
# title: Only approved connectors
# description: Every connector that is named must be in the registry and approved; a connector nobody knows is not.
# custom:
#   id: CONN-001
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.5.19", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-9", "NIST-SP-800-53:CM-7"]
#   remediation: Pick an approved connector from the catalog, or ask the platform team to review this one.
package platform.rules.connectors.approved_only

import data.platform.lib.registry

deny contains v if {
	some used in registry.requested
	not used.name in registry.usable
	v := {
		"path": used.path,
		"message": sprintf("The connector %s is not on the list of approved connectors.", [json.marshal(used.name)]),
	}
}
