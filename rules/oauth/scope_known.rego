# METADATA
# title: Scopes are ones the connector has
# description: Each scope that is asked for must be registered for the connector it is asked of.
# custom:
#   id: OAUTH-001
#   severity: medium
#   applies_to: [template, deploy, connector_call, consent]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-6"]
#   remediation: Use a scope from the connector's page of the catalog.
package platform.rules.oauth.scope_known

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some asked in _asked
	not [asked.connector, asked.scope] in registry.scopes
	v := {
		"path": asked.path,
		"message": sprintf("The connector %s has no scope %s.", [json.marshal(asked.connector), json.marshal(asked.scope)]),
	}
}

_asked contains s if {
	input.kind in {"template", "deploy"}
	some s in manifest.scopes
}

_asked contains s if {
	input.kind in {"connector_call", "consent"}
	some j, scope in lists.at(["resource", "scopes"])
	connector := object.get(input, ["resource", "connector"], "")
	s := {"connector": connector, "scope": scope, "path": ["resource", "scopes", j]}
}
