# METADATA
# title: An app reaches only the connectors it was deployed with
# description: A call or a flow may only go to a connector that the app's last allowed deploy names.
# custom:
#   id: CONN-008
#   severity: high
#   applies_to: [connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.8.3", "SOC2:CC6.1", "GDPR:Art.25", "NIST-SP-800-53:CM-7"]
#   remediation: Add the connector to the app's manifest and deploy it; then call it.
package platform.rules.connectors.declared

import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some used in registry.requested
	not used.name in {c.name | some c in manifest.connectors}
	v := {
		"path": used.path,
		"message": sprintf("The app %s was not deployed with the connector %s.", [
			json.marshal(object.get(input, ["app", "name"], "")),
			json.marshal(used.name),
		]),
	}
}
