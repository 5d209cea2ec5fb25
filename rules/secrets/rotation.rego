# METADATA
# title: Secrets are rotated every month
# description: Each secret has a rotation age, no longer than the platform's limit.
# custom:
#   id: SEC-004
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.5.17", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:SC-12"]
#   remediation: "Set rotation to an ISO 8601 duration such as P30D."
package platform.rules.secrets.rotation

import data.platform.lib.durations
import data.platform.lib.manifest

deny contains v if {
	some secret in manifest.secrets
	not _is_within(secret.rotation)
	path := ["app", "secrets", secret.index, "rotation"]
	v := {
		"path": path,
		"message": sprintf("The secret %s must be rotated every %s or sooner; the manifest says %s.", [
			json.marshal(secret.name),
			data.platform.secrets.longest_rotation.duration,
			json.marshal(secret.rotation),
		]),
		"fix": [{"op": "add", "path": path, "value": data.platform.secrets.longest_rotation.duration}],
	}
}

_is_within(rotation) if durations.seconds(rotation) <= data.platform.secrets.longest_rotation.days * 86400
