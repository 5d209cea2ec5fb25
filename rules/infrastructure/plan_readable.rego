# METADATA
# title: "Plans are whole and of a known format"
# description: "The plan is of a format that is understood, was made without errors, and each change in it can be read."
# custom:
#   id: INF-001
#   severity: high
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-3"]
#   remediation: "Make the plan again: terraform plan -out FILE, then terraform show -json FILE."
package platform.rules.infrastructure.plan_readable

import data.platform.lib.lists
import data.platform.lib.plan

deny contains v if {
	version := object.get(input, ["resource", "format_version"], "")
	not _is_known(version)
	v := {
		"path": ["resource", "format_version"],
		"message": sprintf("The plan's format %s is not understood.", [json.marshal(version)]),
	}
}

deny contains v if {
	some member, good in {"errored": false, "complete": true}
	object.get(input, ["resource", member], good) != good
	v := {"path": ["resource", member], "message": "The plan was not finished, so it is not what will be applied."}
}

deny contains v if {
	not is_array(object.get(input, ["resource", "resource_changes"], []))
	v := {"path": ["resource", "resource_changes"], "message": "The changes have to be a list."}
}

deny contains v if {
	some c in plan.changes
	not _is_readable(c)
	v := {"path": ["resource", "resource_changes", c.index], "message": "This change does not say what is done to what."}
}

_is_known(version) if {
	is_string(version)
	regex.match(data.platform.infrastructure.format_pattern, version)
}

_is_readable(c) if {
	_is_named(c)
	is_object(c.about.after)
}

_is_readable(c) if {
	_is_named(c)
	plan.is_gone(c.about)
}

_is_named(c) if {
	lists.text_of(c.it, "type") != ""
	count(lists.of(c.about, "actions")) > 0
}
