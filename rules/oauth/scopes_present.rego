# METADATA
# title: Each connector is asked for named scopes
# description: A connector without scopes would be asked for everything it has, so a manifest names at least one.
# custom:
#   id: OAUTH-005
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-6"]
#   remediation: List the scopes that the app needs; the template shows them.
package platform.rules.oauth.scopes_present

import data.platform.lib.manifest

deny contains v if {
	some c in manifest.connectors
	not _names_some(c.scopes)
	v := {
		"path": ["app", "connectors", c.index, "scopes"],
		"message": sprintf("The manifest names no scope for the connector %s.", [json.marshal(c.name)]),
	}
}

_names_some(scopes) if {
	is_array(scopes)
	count(scopes) > 0
}
