# METADATA
# title: A business area uses only its own connectors
# description: The registry must offer the connector to the tenant, and the tenant must have it among its own.
# custom:
#   id: CONN-004
#   severity: high
#   applies_to: [deploy, connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.28", "NIST-SP-800-53:AC-3"]
#   remediation: Ask the connector's owner to open it for your business area.
package platform.rules.connectors.tenant_may_use

import data.platform.lib.lists
import data.platform.lib.registry

deny contains v if {
	some used in registry.requested
	not used.name in _open
	v := {
		"path": used.path,
		"message": sprintf("The connector %s is not open to the tenant %s.", [
			json.marshal(used.name),
			json.marshal(object.get(input, "tenant", "")),
		]),
	}
}

_open contains c.name if {
	some c in registry.entries
	some tenant in c.tenants
	tenant in {"*", input.facts.tenant.name}
	c.name in lists.at(["facts", "tenant", "connectors"])
}
