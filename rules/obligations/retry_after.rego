# METADATA
# title: When a used-up quota is full again
# description: Seconds until the next day or month (UTC) begins, where a request is refused because the present one is used up.
# custom:
#   type: retry_after
#   applies_to: [app_call]
package platform.obligations.retry_after

import data.platform.lib.requests_left

oblige contains seconds if {
	count(requests_left.used_up) > 0
	seconds := max([_until(used.period) | some used in requests_left.used_up])
}

_now := time.parse_rfc3339_ns(input.now)

_until("day") := seconds if {
	[hour, minute, second] := time.clock(_now)
	seconds := 86400 - (((hour * 3600) + (minute * 60)) + second)
}

_until("month") := ceil((time.add_date(_first, 0, 1, 0) - _now) / 1000000000)

_first := time.parse_rfc3339_ns(sprintf("%s-01T00:00:00Z", [substring(input.now, 0, 7)]))
