# METADATA
# title: Only known questions are answered
# description: A request is of a known kind, asks for an action of that kind and comes with the time of the decision.
# custom:
#   id: REQ-001
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, app_call, app_answer, publish, lifecycle, workload, infrastructure, image_build, pipeline, registry_entry, consent, revocation]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:SI-10"]
#   remediation: Use one of the platform's kinds and actions.
package platform.rules.request.kind_and_action

deny contains v if {
	kind := object.get(input, "kind", "")
	action := object.get(input, "action", "")
	not action in object.get(data.platform.requests.actions, kind, [])
	v := {
		"path": ["action"],
		"message": sprintf("The action %s is not one of the kind %s.", [json.marshal(action), json.marshal(kind)]),
	}
}

deny contains v if {
	not input.now
	v := {
		"path": ["now"],
		"message": "The request has no time, so nothing that expires can be judged.",
	}
}
