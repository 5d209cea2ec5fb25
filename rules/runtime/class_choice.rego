# METADATA
# title: The runtime isolates well enough for the data
# description: An app runs in a runtime class that is allowed for every class of data it handles.
# custom:
#   id: RUN-001
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.8", "GDPR:Art.32", "NIST-SP-800-53:SC-39"]
#   remediation: Choose a runtime class with stronger isolation; the message names them.
package platform.rules.runtime.class_choice

import data.platform.lib.manifest

deny contains v if {
	class := object.get(input, ["app", "runtime", "class"], "")
	not class in _allowed
	v := object.union(
		{
			"path": ["app", "runtime", "class"],
			"message": sprintf("The runtime class %s is not allowed for this app's data; allowed: %s.", [
				json.marshal(class),
				concat(", ", _ranked),
			]),
		},
		_fix,
	)
}

_allowed contains class if {
	some class in data.platform.runtime.preference
	count(manifest.classes) > 0
	every handled in manifest.classes {
		class in object.get(data.platform.runtime.classes_for, handled, [])
	}
}

_ranked := [class | some class in data.platform.runtime.preference; class in _allowed]

_fix := {"fix": [{"op": "replace", "path": ["app", "runtime", "class"], "value": _ranked[0]}]} if {
	count(_ranked) > 0
} else := {}
