# METADATA
# title: When a used-up quota is full again
# description: Seconds until the next day or month (UTC) begins, where a request is refused because the present one is used up.
# custom:
#   type: retry_after
#   applies_to: [app_call]
package platform.obligations.retry_after

import data.platform.lib.instants
import data.platform.lib.requests_left

oblige contains max(_waits) if count(_waits) > 0

_waits contains _until_day if {
	some used in requests_left.used_up
	used.period == "day"
}

_waits contains _until_month if {
	some used in requests_left.used_up
	used.period == "month"
}

_now := instants.nanoseconds(object.get(input, "now", ""))

_until_day := 86400 - (((clock[0] * 3600) + (clock[1] * 60)) + clock[2]) if clock := time.clock(_now)

_until_month := ceil((time.add_date(_first, 0, 1, 0) - _now) / 1000000000)

_first := instants.nanoseconds(sprintf("%s-01T00:00:00Z", [substring(input.now, 0, 7)])) if is_string(input.now)
