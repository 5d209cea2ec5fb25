# METADATA
# title: No secrets in a manifest
# description: A manifest, template, change, plan, image build or workflow may not hold anything that looks like a password, key or token.
# custom:
#   id: SEC-001
#   severity: critical
#   applies_to: [template, deploy, publish, lifecycle, infrastructure, image_build, pipeline, registry_entry]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: Remove it and name the secret under secrets; the broker issues it at run time. Rotate what was exposed.
package platform.rules.secrets.inline

import data.platform.lib.findings

deny contains v if {
	some found in findings.secrets
	v := {
		"path": array.concat(["resource"], found.segments),
		"message": sprintf("This place holds something that looks like a secret (%s).", [found.entity]),
	}
}

deny contains v if {
	found := object.get(input, ["facts", "secrets"], null)
	not is_array(found)
	v := {
		"path": ["resource"],
		"message": "Nobody looked for secrets in this document, so it cannot be accepted.",
	}
}
