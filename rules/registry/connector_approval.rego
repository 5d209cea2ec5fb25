# METADATA
# title: "A connector is approved by who may, as it is registered"
# description: "Its owner approves as its owner, somebody of compliance as compliance, nobody as both, and each the document that is registered."
# custom:
#   id: REG-004
#   severity: high
#   applies_to: [registry_entry]
#   controls: ["ISO-27001:A.5.3", "ISO-27001:A.5.19", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:AC-5"]
#   remediation: "Sign in with a key of the role, the team and the person that are asked for (key create --person), or let somebody else approve it; read the document again where it has changed."
package platform.rules.registry.connector_approval

import data.platform.lib.agreement
import data.platform.lib.lists

deny contains v if {
	_is_approval
	not _is_allowed_role
	v := {
		"path": ["context", "as"],
		"message": sprintf("Approving as %s takes a role of %s; this is %s.", [json.marshal(_part), json.marshal(_roles), json.marshal(lists.text_of(_asked, "role"))]),
	}
}

deny contains v if {
	_is_approval
	not agreement.is_theirs(_part, lists.text_of(_asked, "team"), lists.text_of(_asked, "owner"))
	v := {
		"path": ["context", "as"],
		"message": sprintf("Only the owner, %s, approves as the owner; this key speaks for %s.", [json.marshal(lists.text_of(_asked, "owner")), json.marshal(lists.text_of(_asked, "team"))]),
	}
}

deny contains v if {
	_is_approval
	lists.text_of(_asked, "person") == ""
	v := {
		"path": ["context", "as"],
		"message": "This key names no person, and two keys may be one person's: approvals are counted by people.",
	}
}

deny contains v if {
	_is_approval
	some given in lists.of(_asked, "given")
	lists.text_of(given, "as") != _part
	some member in ["by", "person"]
	lists.text_of(given, member) == lists.text_of(_asked, member)
	v := {
		"path": ["context", "as"],
		"message": sprintf("The same person has approved it as %s already; this takes two.", [json.marshal(lists.text_of(given, "as"))]),
	}
}

deny contains v if {
	_is_approval
	not _is_registered
	v := {
		"path": ["context", "digest"],
		"message": sprintf("That is not the document that is registered, which is %s.", [json.marshal(lists.text_of(_asked, "digest"))]),
	}
}

# Who asks is a fact of the door they signed in at: without it nobody does.
_asked := lists.object_of(object.get(input, "facts", {}), "approval")

_part := lists.text_of(object.get(input, "context", {}), "as")

_roles := object.get(data.platform.connectors.approvers, _part, [])

# Nothing else of the registry is approved this way, and without the fact nothing is.
_is_approval if input.action == "approve"

_is_allowed_role if lists.text_of(_asked, "role") in _roles

_is_registered if {
	digest := lists.text_of(_asked, "digest")
	digest != ""
	digest == lists.text_of(object.get(input, "context", {}), "digest")
}
