# METADATA
# title: Data is kept no longer than its class allows
# description: A manifest says how long data is kept, and that is no longer than the strictest of its data classes allows.
# custom:
#   id: DATA-007
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["GDPR:Art.5", "ISO-27001:A.8.10", "SOC2:P4.2", "NIST-SP-800-53:SI-12"]
#   remediation: "Set data.retention to a shorter ISO 8601 duration, such as P30D."
package platform.rules.data.retention

import data.platform.lib.durations
import data.platform.lib.manifest

deny contains v if {
	retention := object.get(input, ["app", "data", "retention"], "")
	strictest := data.platform.retention.longest[_strictest]
	not _is_within(retention, strictest.days)
	v := {
		"path": ["app", "data", "retention"],
		"message": sprintf("Data of the class %q may be kept for %d days at most; the manifest says %s.", [
			_strictest, strictest.days, json.marshal(retention),
		]),
		"fix": [{"op": "add", "path": ["app", "data", "retention"], "value": strictest.duration}],
	}
}

# Without a class that has a limit no duration is short enough.
deny contains v if {
	count(_limits) == 0
	v := {
		"path": ["app", "data", "retention"],
		"message": "Without a known data class nobody can say how long the data may be kept.",
	}
}

_limits contains longest.days if {
	some class, longest in data.platform.retention.longest
	class in manifest.classes
}

# The first by name where several are equally strict, so that a decision reads the same every time.
_strictest := sort([class |
	some class, longest in data.platform.retention.longest
	class in manifest.classes
	longest.days == min(_limits)
])[0]

_is_within(retention, days) if durations.seconds(retention) <= days * 86400
