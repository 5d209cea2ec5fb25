# METADATA
# title: Addresses belong to the connector
# description: The host that an outgoing URL really points at must be one of the hosts registered for the connector.
# custom:
#   id: EGR-002
#   severity: critical
#   applies_to: [connector_call, data_flow]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: Send the request to the connector's own host, as the catalog names it.
package platform.rules.egress.host_of_connector

import data.platform.lib.destination
import data.platform.lib.registry

deny contains v if {
	some path in destination.url_paths
	count(_owners) == 0
	v := {
		"path": path,
		"message": sprintf("The host %s is not on the list of hosts this app may reach.", [json.marshal(destination.host)]),
	}
}

_owners contains name if {
	some name in destination.names
	[name, input.facts.url.host] in registry.hosts
}
