# METADATA
# title: Only active apps exchange data
# description: An app that is archived, deleted or in an unknown state makes no calls and sends no data.
# custom:
#   id: REQ-005
#   severity: high
#   applies_to: [connector_call, data_flow, app_call, app_answer, consent]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Restore the app, then try again.
package platform.rules.request.app_active

deny contains v if {
	state := object.get(input, ["facts", "app", "state"], "")
	not state in data.platform.lifecycle.may_act
	v := {
		"path": ["resource", "app"],
		"message": sprintf("An app in the state %s makes no calls and sends no data.", [json.marshal(state)]),
	}
}
