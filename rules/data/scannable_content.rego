# METADATA
# title: Only content that can be looked into
# description: A flow carries a type of content that the scanner reads; a file nobody can look into cannot be cleared.
# custom:
#   id: DATA-012
#   severity: high
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.8.12", "SOC2:CC6.7", "GDPR:Art.5", "NIST-SP-800-53:AC-4"]
#   remediation: Send the data as JSON, CSV or plain text.
package platform.rules.data.scannable_content

deny contains v if {
	content_type := object.get(input, ["resource", "content_type"], "")
	not _is_scannable(content_type)
	v := {
		"path": ["resource", "content_type"],
		"message": sprintf("Content of the type %s cannot be checked.", [json.marshal(content_type)]),
	}
}

_is_scannable(content_type) if {
	is_string(content_type)
	lower(trim_space(split(content_type, ";")[0])) in data.platform.flows.content_types
}
