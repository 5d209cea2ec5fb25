# METADATA
# title: No secrets in what leaves
# description: A call or a flow may not carry anything that looks like a password, key or token.
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
