# METADATA
# title: Every app runs within caps
# description: CPU, memory, time and storage each have a cap, above zero and no higher than the runtime class allows.
# custom:
#   id: RUN-002
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.32", "NIST-SP-800-53:SC-6"]
#   remediation: Set the cap to the value in the message or lower.
package platform.rules.runtime.caps

deny contains v if {
	some cap in data.platform.caps.names
	highest := data.platform.caps.limits[input.app.runtime.class][cap]
	asked := object.get(input, ["app", "runtime", "caps", cap], null)
	not _is_within(asked, highest)
	path := ["app", "runtime", "caps", cap]
	v := {
		"path": path,
		"message": sprintf("The cap %s must be above 0 and at most %v; the manifest says %s.", [cap, highest, json.marshal(asked)]),
		"fix": [{"op": "add", "path": path, "value": highest}],
	}
}

# A class without limits has no caps that could be met.
deny contains v if {
	class := object.get(input, ["app", "runtime", "class"], "")
	not class in object.keys(data.platform.caps.limits)
	v := {
		"path": ["app", "runtime", "caps"],
		"message": "There are no caps for an app without a known runtime class.",
	}
}

_is_within(asked, highest) if {
	is_number(asked)
	asked > 0
	asked <= highest
}
