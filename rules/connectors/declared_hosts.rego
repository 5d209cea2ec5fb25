# METADATA
# title: A connector's hosts are the registered ones
# description: The hosts that a manifest lists for a connector must be hosts that the registry knows for it.
# custom:
#   id: CONN-009
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.28", "NIST-SP-800-53:SC-7"]
#   remediation: Remove the host; the registry's hosts apply by themselves.
package platform.rules.connectors.declared_hosts

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some c in manifest.connectors
	some j, host in lists.of(c, "hosts")
	not [c.name, host] in registry.hosts
	path := ["app", "connectors", c.index, "hosts", j]
	v := {
		"path": path,
		"message": sprintf("The host %s does not belong to the connector %s.", [json.marshal(host), json.marshal(c.name)]),
		"fix": [{"op": "remove", "path": path}],
	}
}
