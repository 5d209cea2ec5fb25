# METADATA
# title: A flow has a stated purpose
# description: Each data flow says in words what it is for.
# custom:
#   id: DATA-011
#   severity: medium
#   applies_to: [data_flow]
#   controls: ["GDPR:Art.5", "SOC2:P2.1", "ISO-27001:A.5.12", "NIST-SP-800-53:PT-3"]
#   remediation: Add one sentence under purpose.
package platform.rules.data.flow_purpose

deny contains v if {
	purpose := object.get(input, ["resource", "purpose"], "")
	not _says_something(purpose)
	v := {
		"path": ["resource", "purpose"],
		"message": "The flow does not say what it is for.",
	}
}

_says_something(purpose) if {
	is_string(purpose)
	count(trim_space(purpose)) >= data.platform.scopes.shortest_purpose
}
