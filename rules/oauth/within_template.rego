# METADATA
# title: No more scopes than the template has
# description: An app may ask for a part of what its template asks for, never for more.
# custom:
#   id: OAUTH-003
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.2", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-6"]
#   remediation: Ask only for scopes that the template names, or ask its owner for a template that has this one.
package platform.rules.oauth.within_template

import data.platform.lib.manifest
import data.platform.lib.template

deny contains v if {
	some asked in manifest.scopes
	not [asked.connector, asked.scope] in template.scopes
	v := object.union(
		{
			"path": asked.path,
			"message": sprintf("The template does not give the scope %s of the connector %s.", [
				json.marshal(asked.scope),
				json.marshal(asked.connector),
			]),
		},
		_fix(asked),
	)
}

# Where the template gives exactly one scope of that connector, that is the one to ask for.
_fix(asked) := {"fix": [{"op": "replace", "path": asked.path, "value": scope}]} if {
	[[_, scope]] = [offered | some offered in template.scopes; offered[0] == asked.connector]
} else := {}
