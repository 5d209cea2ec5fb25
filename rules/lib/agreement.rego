# Who has agreed to a connector's document as it is registered now: those that come with the pack, or two people by their parts.
package platform.lib.agreement

import data.platform.lib.lists

# Names of connectors that both have agreed to.
agreed contains name if {
	some name in shipped
	some known in lists.at(["facts", "connectors"])
	lists.text_of(known, "name") == name
	object.get(lists.as_object(known), "withdrawn", []) == []
}

agreed contains name if {
	some [name, "owner", one] in approvers
	some [again, "compliance", other] in approvers
	again == name
	other != one
}

# Names of connectors whose document comes with the pack, as it is registered.
shipped contains name if {
	some known in lists.at(["facts", "connectors"])
	name := lists.text_of(known, "name")
	digest := lists.text_of(known, "digest")
	digest != ""
	data.platform.connectors.shipped[name] == digest
}

# [connector, part, person], each of them in a role that may. Nobody can tell whether two keys of no person are two people's.
approvers contains [name, part, person] if {
	some known in lists.at(["facts", "connectors"])
	name := lists.text_of(known, "name")
	owner := lists.text_of(known, "owner")
	some approval in lists.of(known, "approvals")
	part := lists.text_of(approval, "as")
	person := lists.text_of(approval, "person")
	person != ""
	lists.text_of(approval, "role") in object.get(data.platform.connectors.approvers, part, [])
	is_theirs(part, lists.text_of(approval, "team"), owner)
}

# Compliance looks at every connector, an owner at their own.
is_theirs("compliance", _, _) := true

is_theirs("owner", team, owner) if {
	team != ""
	team == owner
}
