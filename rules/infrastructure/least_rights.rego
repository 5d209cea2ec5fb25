# METADATA
# title: "Access policies name what they allow"
# description: "No policy allows every action, every action of a service on everything, or anybody; no role that is everything is given."
# custom:
#   id: INF-007
#   severity: critical
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.2", "SOC2:CC6.3", "GDPR:Art.32", "NIST-SP-800-53:AC-6"]
#   remediation: "Name the actions and resources that the program needs."
package platform.rules.infrastructure.least_rights

import data.platform.lib.lists
import data.platform.lib.policies

deny contains v if {
	some policy in policies.all
	not is_object(policy.document)
	v := {"path": policy.path, "message": "This access policy cannot be read, so nobody can say what it allows."}
}

deny contains v if {
	some policy in policies.all
	some statement in policies.allowing(policy.document)
	_is_too_wide(policy, statement)
	v := {"path": policy.path, "message": "This access policy allows more than anybody can need: a wildcard stands for an action, a resource or a person."}
}

deny contains v if {
	some given in policies.roles
	given.role in data.platform.infrastructure.too_wide_roles
	v := {"path": given.path, "message": sprintf("The role %s is every right at once.", [json.marshal(given.role)])}
}

_is_too_wide(policy, statement) if {
	not policy.type in data.platform.infrastructure.on_themselves
	some action in policies.texts(statement, "Action")
	action in {"*", "*:*"}
}

_is_too_wide(policy, statement) if {
	not policy.type in data.platform.infrastructure.on_themselves
	some action in policies.texts(statement, "Action")
	endswith(action, ":*")
	"*" in policies.texts(statement, "Resource")
}

_is_too_wide(policy, statement) if {
	not policy.type in data.platform.infrastructure.on_themselves
	some action in policies.texts(statement, "NotAction")
	action != ""
}

_is_too_wide(_, statement) if count(lists.object_of(statement, "NotPrincipal")) > 0

_is_too_wide(_, statement) if {
	not statement.Condition
	"*" in policies.texts(statement, "Principal") | policies.texts(lists.object_of(statement, "Principal"), "AWS")
}
