# METADATA
# title: Every app has a budget within its tenant's
# description: Requests a day and euros a month are each planned, above zero and no higher than the tenant's quota.
# custom:
#   id: COST-003
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.24", "NIST-SP-800-53:SC-6"]
#   remediation: Set the quota to the value in the message or lower, or ask for a larger budget.
package platform.rules.cost.quotas

deny contains v if {
	some quota in data.platform.costs.quota_names
	highest := object.get(input, ["facts", "tenant", "quotas", quota], 0)
	planned := object.get(input, ["app", "quotas", quota], null)
	not _is_within(planned, highest)
	v := object.union(
		{
			"path": ["app", "quotas", quota],
			"message": sprintf("The quota %s must be above 0 and at most %s; the manifest says %s.", [
				quota, json.marshal(highest), json.marshal(planned),
			]),
		},
		_fix(quota, highest),
	)
}

_is_within(planned, highest) if {
	is_number(planned)
	is_number(highest)
	planned > 0
	planned <= highest
}

_fix(quota, highest) := {"fix": [{"op": "add", "path": ["app", "quotas", quota], "value": highest}]} if {
	is_number(highest)
	highest > 0
	is_object(input.app.quotas)
} else := {}
