# METADATA
# title: Apps are made from a published template
# description: An app names a template and one exact version of it, and that version is published and still in use.
# custom:
#   id: TPL-001
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.25", "SOC2:CC8.1", "GDPR:Art.25", "NIST-SP-800-53:CM-2"]
#   remediation: Name a template of the catalog with one exact version, such as 1.2.0.
package platform.rules.template.pinned

deny contains v if {
	version := object.get(input, ["app", "template", "version"], "")
	not _is_exact(version)
	v := {
		"path": ["app", "template", "version"],
		"message": sprintf("The template version %s is not one exact version.", [json.marshal(version)]),
	}
}

deny contains v if {
	not _is_published
	v := {
		"path": ["app", "template", "name"],
		"message": sprintf("The template %s is not published in this version.", [
			json.marshal(object.get(input, ["app", "template", "name"], "")),
		]),
	}
}

_is_exact(version) if {
	is_string(version)
	regex.match(data.platform.template.version_pattern, version)
}

_is_published if {
	template := input.facts.template
	template.known == true
	template.state in data.platform.template.states
	template.name == input.app.template.name
	template.version == input.app.template.version
}
