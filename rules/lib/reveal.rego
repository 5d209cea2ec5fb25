# Who may turn a token back into what it stands for: a role that is named for it, for its own tenant, with a reason.
package platform.lib.reveal

import data.platform.lib.lists

default allow := false

allow if {
	some role in lists.at(["roles"])
	role in data.platform.flows.reveal_roles
	input.tenant != ""
	input.key_tenant in {"", input.tenant}
	reason := input.reason
	is_string(reason)
	count(trim_space(reason)) >= data.platform.scopes.shortest_purpose
}
