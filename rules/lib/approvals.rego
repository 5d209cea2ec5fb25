# Which roles have agreed to this request: somebody else than its author and the app's owner, and not expired.
package platform.lib.approvals

given contains approval.role if {
	some approval in input.facts.approvals
	approval.by != ""
	approval.by != input.subject.id
	approval.by != input.app.owner
	time.parse_rfc3339_ns(approval.expires_at) > time.parse_rfc3339_ns(input.now)
}
