# METADATA
# title: Every request is about a named app
# description: "The app or template has a name that a host, a folder and a label can all hold: lower-case letters, digits and hyphens."
# custom:
#   id: REQ-002
#   severity: medium
#   applies_to: [template, deploy, connector_call, data_flow, app_call, app_answer, publish, lifecycle, consent]
#   controls: ["ISO-27001:A.5.9", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:CM-8"]
#   remediation: "Choose a name such as where2eat: at most 63 lower-case letters, digits and hyphens."
package platform.rules.request.app_named

deny contains v if {
	name := object.get(input, ["app", "name"], "")
	not _is_name(name)
	v := {
		"path": ["app", "name"],
		"message": sprintf("The name %s is not a name for an app.", [json.marshal(name)]),
	}
}

_is_name(name) if {
	is_string(name)
	regex.match(data.platform.requests.name_pattern, name)
}
