# Access policies and roles that a plan gives: documents as the provider reads them, out of their JSON text.
package platform.lib.policies

import data.platform.lib.lists
import data.platform.lib.plan

all contains policy if {
	some r in plan.resources
	attribute := data.platform.infrastructure.policies[r.type]
	value := object.get(r.after, attribute, null)
	value != null
	policy := {"type": r.type, "document": _document(value), "path": array.concat(r.path, [attribute])}
}

all contains policy if {
	some r in plan.resources
	some i, inline in lists.of(r.after, "inline_policy")
	text := lists.text_of(inline, "policy")
	text != ""
	policy := {"type": "inline_policy", "document": _document(text), "path": array.concat(r.path, ["inline_policy", i, "policy"])}
}

roles contains given if {
	some r in plan.resources
	attribute := data.platform.infrastructure.roles[r.type]
	given := {"role": lists.text_of(r.after, attribute), "path": array.concat(r.path, [attribute])}
}

_document(value) := json.unmarshal(value) if {
	is_string(value)
	json.is_valid(value)
} else := null

# Statements that allow; one alone may stand without a list.
allowing(document) := [statement |
	some statement in array.concat(lists.of(document, "Statement"), [lists.object_of(document, "Statement")])
	lists.text_of(statement, "Effect") != "Deny"
	statement != {}
]

# One text or a list of texts, as a set.
texts(owner, member) := {lists.text_of(owner, member)} | {text | some text in lists.of(owner, member)}
