# Which of the Pod Security Standards' checks a request has to meet: by profile and version of the standard.
package platform.lib.pss

import data.platform.lib.pods

profile := object.get(input, ["context", "profile"], data.platform.kubernetes.default_profile)

version := object.get(input, ["context", "pss_version"], "latest")

minor := data.platform.pss.latest if {
	version == "latest"
} else := _number(version)

_number(text) := number if {
	is_string(text)
	found := regex.find_all_string_submatch_n(data.platform.pss.version_pattern, text, 1)[0]
	number := to_number(found[1])
}

checks contains name if {
	pods.is_written
	some name, spans in data.platform.pss.checks
	span := spans[profile]
	span[0] <= minor
	minor <= span[1]
	not name in _excused
}

_excused contains name if {
	pods.is_for_windows
	some name, since in data.platform.pss.not_on_windows
	since <= minor
}

_excused contains name if {
	pods.is_in_user_namespace
	some name, by_profile in data.platform.pss.not_in_user_namespace
	by_profile[profile] <= minor
}

# Everything that a list by versions allows in this one.
allowed(rows) := {name |
	some row in rows
	row.since <= minor
	some name in row.allowed
}
