# METADATA
# title: No more access than the data allows
# description: Where a connector holds data about people, an app may read but not change it; how far each class goes is data.
# custom:
#   id: OAUTH-002
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.2", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-6"]
#   remediation: Ask for the scope that only reads.
package platform.rules.oauth.least_access

import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some asked in manifest.scopes
	some [name, scope, level] in registry.access
	name == asked.connector
	scope == asked.scope
	not [name, level] in _granted
	v := object.union(
		{
			"path": asked.path,
			"message": sprintf("The scope %q gives the access %s to the connector %q, which is more than its data allows.", [
				scope, json.marshal(level), name,
			]),
		},
		_fix(asked),
	)
}

# [connector, access] that no class of the connector's data forbids.
_granted contains [c.name, level] if {
	some c in registry.entries
	some level, weight in data.platform.scopes.access
	count(c.data_classes) > 0
	every class in c.data_classes {
		highest := object.get(data.platform.scopes.highest, class, "none")
		weight <= object.get(data.platform.scopes.access, highest, 0)
	}
}

# "employees:write" narrows to "employees:read" where the connector has that scope.
_fix(asked) := {"fix": [{"op": "replace", "path": asked.path, "value": narrower}]} if {
	narrower := concat(":", [split(asked.scope, ":")[0], "read"])
	[asked.connector, narrower] in registry.scopes
} else := {}
