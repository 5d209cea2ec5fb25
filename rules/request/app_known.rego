# METADATA
# title: Only apps that were deployed may act
# description: A call, a flow, a publish or lifecycle step must come from an app with an allowed deploy.
# custom:
#   id: REQ-004
#   severity: high
#   applies_to: [connector_call, data_flow, app_call, app_answer, publish, lifecycle, consent]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3", "NIST-SP-800-53:CM-8"]
#   remediation: Deploy the app first.
package platform.rules.request.app_known

deny contains v if {
	object.get(input, ["facts", "app", "known"], false) != true
	v := {
		"path": ["resource", "app"],
		"message": sprintf("The app %s has no allowed deploy.", [json.marshal(object.get(input, ["app", "name"], ""))]),
	}
}
