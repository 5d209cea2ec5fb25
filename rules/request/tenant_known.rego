# METADATA
# title: Every request is of one known tenant
# description: The tenant is registered, and it is the one that the app belongs to.
# custom:
#   id: REQ-003
#   severity: high
#   applies_to: [deploy, connector_call, data_flow, app_call, app_answer, publish, lifecycle, consent]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Use your business area's tenant name, as the manifest has it.
package platform.rules.request.tenant_known

deny contains v if {
	not _is_known
	v := {
		"path": ["tenant"],
		"message": sprintf("The tenant %s is not registered.", [json.marshal(object.get(input, "tenant", ""))]),
	}
}

deny contains v if {
	owner := object.get(input, ["app", "tenant"], "")
	owner != object.get(input, "tenant", null)
	v := {
		"path": ["app", "tenant"],
		"message": "The app belongs to another tenant than the one that asks.",
	}
}

_is_known if {
	input.tenant != ""
	input.facts.tenant.known == true
	input.facts.tenant.name == input.tenant
}
