# METADATA
# title: Calls use a registered operation
# description: Method, path and named operation of a call must match an operation of the connector, and the call must hold that operation's scope.
# custom:
#   id: CONN-007
#   severity: high
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.3", "SOC2:CC6.3", "GDPR:Art.28", "NIST-SP-800-53:AC-6"]
#   remediation: Use one of the operations in the connector's page of the catalog, with its scope.
package platform.rules.connectors.operation_allowed

import data.platform.lib.operation

deny contains v if {
	count(operation.called) == 0
	v := {
		"path": ["resource", "method"],
		"message": sprintf("The connector %s has no operation for method %s on this path that the call may use.", [
			json.marshal(object.get(input, ["resource", "connector"], "")),
			json.marshal(object.get(input, ["resource", "method"], "")),
		]),
	}
}
