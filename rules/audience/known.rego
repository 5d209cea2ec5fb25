# METADATA
# title: The audience is one the platform knows
# description: A manifest or a publish request says who may use the app, in one of the platform's words.
# custom:
#   id: AUD-001
#   severity: medium
#   applies_to: [template, deploy, publish]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-3"]
#   remediation: "Use team, department, tenant, company or public."
package platform.rules.audience.known

deny contains v if {
	some place in _places
	not place.audience in object.keys(data.platform.audience.width)
	v := {
		"path": place.path,
		"message": sprintf("The audience %s is not one the platform knows.", [json.marshal(place.audience)]),
	}
}

_places contains place if {
	input.kind in {"template", "deploy"}
	place := {"audience": object.get(input, ["app", "audience"], ""), "path": ["app", "audience"]}
}

_places contains place if {
	input.kind == "publish"
	audience := object.get(input, ["resource", "change", "audience"], "")
	place := {"audience": audience, "path": ["resource", "change", "audience"]}
}
