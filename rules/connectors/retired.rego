# METADATA
# title: Connectors stop on their retirement day
# description: From the moment a connector is due to retire it may no longer be used, even if its entry still says approved.
# custom:
#   id: CONN-002
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.5.23", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-22"]
#   remediation: Move to the connector that replaces it; the catalog names it.
package platform.rules.connectors.retired

import data.platform.lib.instants
import data.platform.lib.registry

deny contains v if {
	some c in registry.entries
	_is_over(c)
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q retired on %s.%s", [c.name, json.marshal(c.retires_at), _advice(c)]),
	}
}

# A day that cannot be read, or no clock to read it by, counts as come.
_is_over(c) if {
	c.retires_at != null
	not instants.is_ahead(c.retires_at)
}

_advice(c) := sprintf(" Use %q instead.", [c.replaced_by]) if c.replaced_by != ""

else := ""
