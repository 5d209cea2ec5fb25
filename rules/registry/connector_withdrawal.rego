# METADATA
# title: "A connector's approval is taken back by who could give it"
# description: "Its owner takes back what its owner approved, somebody of compliance what compliance did, and everybody what they approved themselves; this one needs no second person."
# custom:
#   id: REG-005
#   severity: high
#   applies_to: [revocation]
#   controls: ["ISO-27001:A.5.18", "ISO-27001:A.5.19", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:AC-2"]
#   remediation: "Sign in with a key of the role and the team that are named, or ask who approved it."
package platform.rules.registry.connector_withdrawal

import data.platform.lib.agreement
import data.platform.lib.lists

deny contains v if {
	input.action == "withdraw"
	not _may
	v := {
		"path": ["context", "as"],
		"message": sprintf("Taking back what was approved as %s takes a role of %s, and for an owner the team %s; this is %s of %s.", [
			json.marshal(_part), json.marshal(_roles), json.marshal(lists.text_of(_asked, "owner")),
			json.marshal(lists.text_of(_asked, "role")), json.marshal(lists.text_of(_asked, "team")),
		]),
	}
}

_may if {
	lists.text_of(_asked, "role") in _roles
	agreement.is_theirs(_part, lists.text_of(_asked, "team"), lists.text_of(_asked, "owner"))
}

_may if {
	some given in lists.of(_asked, "given")
	lists.text_of(given, "as") == _part
	lists.text_of(given, "by") != ""
	lists.text_of(given, "by") == lists.text_of(_asked, "by")
}

# Who asks is a fact of the door they signed in at: without it nobody does.
_asked := lists.object_of(object.get(input, "facts", {}), "approval")

_part := lists.text_of(object.get(input, "context", {}), "as")

_roles := object.get(data.platform.connectors.approvers, _part, [])
