# METADATA
# title: "Resources say who pays for them"
# description: "Each resource that can be tagged has the tags that chargeback needs, and a cost center as finance writes it."
# custom:
#   id: INF-006
#   severity: medium
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.5.9", "SOC2:CC2.1", "GDPR:Art.32", "NIST-SP-800-53:CM-8"]
#   remediation: "Set the tags once in the provider's default_tags (default_labels)."
package platform.rules.infrastructure.cost_tags

import data.platform.lib.lists
import data.platform.lib.plan

deny contains v if {
	some r in plan.resources
	_can_be_tagged(r)
	missing := [tag | some tag in data.platform.infrastructure.required_tags; not _has(r, tag)]
	count(missing) > 0
	v := {
		"path": r.path,
		"message": sprintf("The tags %s are missing, so nobody pays for this.", [concat(", ", missing)]),
	}
}

deny contains v if {
	some r in plan.resources
	some attribute in data.platform.infrastructure.tag_attributes
	center := lists.text_of(lists.object_of(r.after, attribute), data.platform.infrastructure.cost_tag)
	center != ""
	not regex.match(data.platform.costs.cost_center_pattern, upper(center))
	v := {
		"path": array.concat(r.path, [attribute, data.platform.infrastructure.cost_tag]),
		"message": sprintf("%s is not how a cost center is written.", [json.marshal(center)]),
	}
}

_can_be_tagged(r) if {
	some attribute in data.platform.infrastructure.tag_attributes
	attribute in object.keys(r.after)
}

_has(r, tag) if {
	some attribute in data.platform.infrastructure.tag_attributes
	lists.text_of(lists.object_of(r.after, attribute), tag) != ""
}
