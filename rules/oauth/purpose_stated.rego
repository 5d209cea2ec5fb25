# METADATA
# title: Each connector is used for a stated purpose
# description: A manifest says in words what each connector is for; people consent to a purpose, not to a scope.
# custom:
#   id: OAUTH-004
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["GDPR:Art.5", "SOC2:P2.1", "ISO-27001:A.5.15", "NIST-SP-800-53:PT-3"]
#   remediation: Add one sentence under purpose that says what the app does with the connector.
package platform.rules.oauth.purpose_stated

import data.platform.lib.manifest

deny contains v if {
	some c in manifest.connectors
	not _says_something(c.purpose)
	v := {
		"path": ["app", "connectors", c.index, "purpose"],
		"message": sprintf("The manifest does not say what the connector %s is used for.", [json.marshal(c.name)]),
	}
}

_says_something(purpose) if {
	is_string(purpose)
	count(trim_space(purpose)) >= data.platform.scopes.shortest_purpose
}
