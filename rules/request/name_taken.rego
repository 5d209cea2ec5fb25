# METADATA
# title: An app stays with its tenant
# description: A deploy may not take over the name of an app that another tenant has deployed.
# custom:
#   id: REQ-008
#   severity: critical
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Choose another name, or ask the platform team to move the app to your tenant.
package platform.rules.request.name_taken

deny contains v if {
	not _is_free_or_own
	v := {
		"path": ["app", "name"],
		"message": sprintf("The name %s belongs to an app of another tenant, or nobody can say that it does not.", [
			json.marshal(object.get(input, ["app", "name"], "")),
		]),
	}
}

_is_free_or_own if input.facts.app.known == false

_is_free_or_own if {
	input.facts.app.known == true
	input.facts.app.spec.tenant == input.tenant
}
