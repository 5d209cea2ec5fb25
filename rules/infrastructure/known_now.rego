# METADATA
# title: "What decides about safety is known before it is applied"
# description: "Where an attribute that a rule judges is only known after the plan is applied, a person looks at it."
# custom:
#   id: INF-008
#   severity: medium
#   effect: require_approval
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-4"]
#   remediation: "Give the attribute a value that the plan can show, or ask the platform team to look at it."
package platform.rules.infrastructure.known_now

import data.platform.lib.plan

deny contains v if {
	some table in ["private", "encrypted"]
	some place in plan.places(data.platform.infrastructure[table])
	place.value == null
	place.is_unknown
	v := {
		"path": place.path,
		"message": sprintf("%s of a %s is not known before it is applied.", [place.row.at, place.row.type]),
	}
}

deny contains v if {
	some r in plan.resources
	attribute := data.platform.infrastructure.policies[r.type]
	object.get(r.unknown, attribute, false) == true
	v := {
		"path": array.concat(r.path, [attribute]),
		"message": sprintf("What the %s allows is not known before it is applied.", [r.type]),
	}
}
