# METADATA
# title: Labels that say whose an object is
# description: The tenant, on the object itself, so that whatever selects by label (NetworkPolicies, reports) need not look inside.
# custom:
#   type: label
#   applies_to: [deploy]
package platform.obligations.label

oblige contains label if {
	tenant := input.app.tenant
	is_string(tenant)
	tenant != ""
	label := {"name": "microapps.internal/tenant", "value": tenant}
}
