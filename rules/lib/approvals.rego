# Which roles have agreed to this request: somebody else than its author and the app's owner, and not expired.
package platform.lib.approvals

import data.platform.lib.instants
import data.platform.lib.lists

given contains role if {
	some approval in lists.at(["facts", "approvals"])
	role := lists.text_of(approval, "role")
	by := lists.text_of(approval, "by")
	by != ""
	by != input.subject.id
	by != input.app.owner
	expiry := lists.text_of(approval, "expires_at")
	instants.is_ahead(expiry)
}
