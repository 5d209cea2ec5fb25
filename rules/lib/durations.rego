# ISO 8601 durations. A year counts as 366 days and a month as 31, so that no spelling stretches a limit. Undefined for
# anything else, and for a duration of nothing.
package platform.lib.durations

_pattern := `^P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?$`

_seconds_per_part := [31622400, 2678400, 604800, 86400, 3600, 60, 1]

seconds(text) := total if {
	is_string(text)
	parts := regex.find_all_string_submatch_n(_pattern, text, 1)[0]
	total := sum([n |
		some i, weight in _seconds_per_part
		digits := parts[i + 1]
		digits != ""
		n := to_number(digits) * weight
	])
	total > 0
}
