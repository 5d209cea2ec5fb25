# METADATA
# title: Credentials live for an hour at most
# description: Each secret has a time to live, no longer than the platform's limit.
# custom:
#   id: SEC-003
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.5.17", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: "Set ttl to an ISO 8601 duration such as PT15M."
package platform.rules.secrets.ttl

import data.platform.lib.durations
import data.platform.lib.manifest

deny contains v if {
	some secret in manifest.secrets
	not _is_within(secret.ttl)
	path := ["app", "secrets", secret.index, "ttl"]
	v := {
		"path": path,
		"message": sprintf("The secret %s may live for %s at most; the manifest says %s.", [
			json.marshal(secret.name),
			data.platform.secrets.longest_ttl.duration,
			json.marshal(secret.ttl),
		]),
		"fix": [{"op": "add", "path": path, "value": data.platform.secrets.longest_ttl.duration}],
	}
}

_is_within(ttl) if durations.seconds(ttl) <= data.platform.secrets.longest_ttl.seconds
