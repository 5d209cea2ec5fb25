# METADATA
# title: The egress list holds nothing but connector hosts
# description: Each host in an app's egress list must belong to one of the connectors that the app names.
# custom:
#   id: EGR-004
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: Remove the host, or add the connector it belongs to.
package platform.rules.egress.hosts_of_connectors

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some i, host in lists.at(["app", "egress"])
	not host in _reachable
	path := ["app", "egress", i]
	v := {
		"path": path,
		"message": sprintf("The egress host %s belongs to none of the app's approved connectors.", [json.marshal(host)]),
		"fix": [{"op": "remove", "path": path}],
	}
}

_reachable contains host if {
	some c in manifest.connectors
	some [name, host] in registry.hosts
	name == c.name
}
