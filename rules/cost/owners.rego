# METADATA
# title: Every app has two owners
# description: An app has an owner and a second one who is somebody else, so that it is never left alone.
# custom:
#   id: COST-002
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.9", "SOC2:CC1.3", "GDPR:Art.24", "NIST-SP-800-53:CM-8"]
#   remediation: Name an owner and a secondaryOwner who have agreed to look after the app.
package platform.rules.cost.owners

deny contains v if {
	some member in ["owner", "secondaryOwner"]
	owner := object.get(input, ["app", member], "")
	not _is_somebody(owner)
	v := {
		"path": ["app", member],
		"message": sprintf("The manifest names no %s.", [member]),
	}
}

deny contains v if {
	owner := object.get(input, ["app", "owner"], "")
	second := object.get(input, ["app", "secondaryOwner"], "")
	_is_somebody(owner)
	_is_somebody(second)
	lower(trim_space(owner)) == lower(trim_space(second))
	v := {
		"path": ["app", "secondaryOwner"],
		"message": "The second owner is the same person as the owner.",
	}
}

_is_somebody(owner) if {
	is_string(owner)
	trim_space(owner) != ""
}
