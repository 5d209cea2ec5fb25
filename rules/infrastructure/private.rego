# METADATA
# title: "Stores are not open to everybody"
# description: "No bucket, database or account in a plan is readable or reachable by everybody."
# custom:
#   id: INF-002
#   severity: critical
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.3", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: "Close it as the message says; publish through the gateway, which knows who asks."
package platform.rules.infrastructure.private

import data.platform.lib.lists
import data.platform.lib.plan

deny contains v if {
	some place in plan.places(data.platform.infrastructure.private)
	not plan.is_met(place)
	v := {
		"path": place.path,
		"message": sprintf("%s of a %s is %s; it may be %s.", [
			place.row.at,
			place.row.type,
			json.marshal(place.value),
			json.marshal(place.row.one_of),
		]),
	}
}

deny contains v if {
	some r in plan.resources
	some found in _members(r)
	found.member in data.platform.infrastructure.public_members
	v := {
		"path": array.concat(r.path, found.path),
		"message": sprintf("This gives a role to everybody (%s).", [found.member]),
	}
}

_members(r) := array.concat(
	[{"member": r.after[attribute], "path": [attribute]} | some attribute in ["member", "entity"]],
	[{"member": member, "path": ["members", i]} | some i, member in lists.of(r.after, "members")],
)
