# METADATA
# title: A template stays with who published it
# description: Further versions of a template come from the tenant of its first one; templates of no tenant are the platform's.
# custom:
#   id: TPL-005
#   severity: high
#   applies_to: [template]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Choose another name for the template, or ask who published it for the new version.
package platform.rules.template.owner

import data.platform.lib.template

deny contains v if {
	not template.is_as_published
	not _is_free_or_own
	v := {
		"path": ["app", "name"],
		"message": sprintf("The template %s belongs to somebody else, or nobody can say that it does not.", [
			json.marshal(object.get(input, ["app", "name"], "")),
		]),
	}
}

deny contains v if {
	not _is_of_somebody
	v := {
		"path": ["tenant"],
		"message": sprintf("The tenant %s is not registered.", [json.marshal(object.get(input, "tenant", ""))]),
	}
}

_is_free_or_own if input.facts.template.publisher.known == false

_is_free_or_own if {
	input.facts.template.publisher.known == true
	input.facts.template.publisher.tenant == input.tenant
}

# The platform's own are of no tenant.
_is_of_somebody if input.tenant == ""

_is_of_somebody if {
	input.facts.tenant.known == true
	input.facts.tenant.name == input.tenant
}
