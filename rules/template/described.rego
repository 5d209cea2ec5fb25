# METADATA
# title: A template says what it is and who keeps it
# description: A template has one exact version, a title and a summary for the catalog, and an owner.
# custom:
#   id: TPL-003
#   severity: low
#   applies_to: [template]
#   controls: ["ISO-27001:A.5.9", "SOC2:CC8.1", "GDPR:Art.25", "NIST-SP-800-53:SA-5"]
#   remediation: Fill in metadata.version, title, summary and owner.
package platform.rules.template.described

deny contains v if {
	some member in ["owner", "summary", "title"]
	text := object.get(input, ["app", member], "")
	not _says_something(text)
	v := {
		"path": ["app", member],
		"message": sprintf("The template has no %s.", [member]),
	}
}

deny contains v if {
	version := object.get(input, ["resource", "metadata", "version"], "")
	not _is_exact(version)
	v := {
		"path": ["resource", "metadata", "version"],
		"message": sprintf("The template's version %s is not one exact version.", [json.marshal(version)]),
	}
}

_says_something(text) if {
	is_string(text)
	trim_space(text) != ""
}

_is_exact(version) if {
	is_string(version)
	regex.match(data.platform.template.version_pattern, version)
}
