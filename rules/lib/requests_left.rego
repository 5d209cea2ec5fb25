# Requests through the gateway against what app and tenant may answer in a day and in a month.
package platform.lib.requests_left

import data.platform.lib.lists

# A day's quota has to be there. A month's need not be; one that is there counts.
used_up contains {"of": sort, "period": period} if {
	some sort in ["app", "tenant"]
	some period in ["day", "month"]
	not _is_left(sort, period)
}

_member := {"day": "requestsPerDay", "month": "requestsPerMonth"}

_quotas := {
	"app": lists.object_of(object.get(input, "app", {}), "quotas"),
	"tenant": lists.object_of(object.get(input, ["facts", "tenant"], {}), "quotas"),
}

_is_left(sort, period) if {
	limit := object.get(_quotas, [sort, _member[period]], null)
	answered := object.get(input, ["facts", "usage", "requests", sort, period], null)
	is_number(limit)
	is_number(answered)
	answered < limit
}

_is_left(sort, "month") if object.get(_quotas, [sort, "requestsPerMonth"], null) == null
