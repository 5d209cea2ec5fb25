# METADATA
# title: No secrets in what leaves
# description: A call or a flow may not carry anything that looks like a password, key or token, but in headers that are taken off.
# custom:
#   id: DATA-010
#   severity: critical
#   applies_to: [connector_call, data_flow]
#   controls: ["ISO-27001:A.8.12", "SOC2:CC6.1", "GDPR:Art.5", "NIST-SP-800-53:IA-5", "NIST-SP-800-53:AC-4"]
#   remediation: Remove it; the broker adds the credential of a connector by itself. Rotate what was exposed.
package platform.rules.data.secrets_leaving

import data.platform.lib.findings

deny contains v if {
	some found in findings.secrets
	not _is_taken_off(found.segments)
	v := {
		"path": array.concat(["resource"], found.segments),
		"message": sprintf("What is to leave holds something that looks like a secret (%s).", [found.entity]),
	}
}

deny contains v if {
	found := object.get(input, ["facts", "secrets"], null)
	not is_array(found)
	v := {
		"path": ["resource"],
		"message": "Nobody looked for secrets in what is to leave, so it stays.",
	}
}

# A header that the obligation `header` has removed does not leave. It is removed from calls only.
_is_taken_off(segments) if {
	input.kind == "connector_call"
	segments[0] == "headers"
	lower(segments[1]) in data.platform.headers.broker_owned
}
