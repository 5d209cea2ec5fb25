# METADATA
# title: Secrets are named, never written down
# description: An entry under secrets has a name, a time to live and a rotation age, and no other member that could hold a value.
# custom:
#   id: SEC-002
#   severity: critical
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: Keep only name, ttl and rotation; the broker knows the value.
package platform.rules.secrets.by_name

import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	some i, secret in lists.at(["app", "secrets"])
	is_object(secret)
	some member, _ in secret
	not member in data.platform.secrets.members
	path := ["app", "secrets", i, member]
	v := {
		"path": path,
		"message": sprintf("A secret has no member %s in a manifest; its value belongs to the broker.", [json.marshal(member)]),
		"fix": [{"op": "remove", "path": path}],
	}
}

deny contains v if {
	some secret in manifest.secrets
	secret.name == ""
	v := {
		"path": ["app", "secrets", secret.index, "name"],
		"message": "A secret has no name, so the broker cannot issue it.",
	}
}
