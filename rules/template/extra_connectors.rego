# METADATA
# title: Connectors beyond the template need a look
# description: An app that adds a connector which its template does not have waits for the platform team's approval.
# custom:
#   id: TPL-002
#   severity: medium
#   effect: require_approval
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.25", "SOC2:CC8.1", "GDPR:Art.25", "NIST-SP-800-53:CM-3"]
#   remediation: Remove the connector, pick a template that has it, or ask the platform team.
package platform.rules.template.extra_connectors

import data.platform.lib.approvals
import data.platform.lib.manifest
import data.platform.lib.template

deny contains v if {
	some used in manifest.connectors
	not used.name in template.connectors
	not data.platform.approvals.extra_connector in approvals.given
	v := {
		"path": ["app", "connectors", used.index],
		"message": sprintf("The template does not have the connector %s.", [json.marshal(used.name)]),
		"details": {"role": data.platform.approvals.extra_connector},
	}
}
