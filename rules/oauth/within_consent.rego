# METADATA
# title: Calls use only scopes the app was granted
# description: A call may hold, and a person may be asked for, only scopes that the app's last allowed deploy asked for.
# custom:
#   id: OAUTH-006
#   severity: high
#   applies_to: [connector_call, consent]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-3"]
#   remediation: Add the scope to the manifest and deploy, or call with fewer scopes.
package platform.rules.oauth.within_consent

import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	some j, scope in lists.at(["resource", "scopes"])
	not scope in _granted
	v := {
		"path": ["resource", "scopes", j],
		"message": sprintf("The app was not granted the scope %s.", [json.marshal(scope)]),
	}
}

_granted contains asked.scope if {
	some asked in manifest.scopes
	asked.connector == input.resource.connector
}
