# METADATA
# title: Personal data to mask
# description: In a flow, findings that the destination is not cleared for; in a call's answer, the connector's sensitive fields that the app did not declare.
# custom:
#   type: mask
#   applies_to: [connector_call, data_flow]
package platform.obligations.mask

import data.platform.lib.destination
import data.platform.lib.findings
import data.platform.lib.lists
import data.platform.lib.manifest

oblige contains value if {
	input.kind == "data_flow"
	some found in findings.pii
	not found.class in data.platform.classes.free
	not found.class in destination.cleared
	found.segments[0] == "payload"
	value := {"pointer": array.slice(found.segments, 1, count(found.segments)), "class": found.class}
}

oblige contains value if {
	input.kind == "connector_call"
	some c in destination.entries
	some field in c.fields
	class := object.get(field, "class", "unclassified")
	not _is_declared(field, class)
	pointer := lists.of(field, "pointer")
	value := {"pointer": pointer, "class": class}
}

# Declared by class and, where it is about people, by kind.
_is_declared(field, class) if {
	class in manifest.classes
	object.get(field, "pii", "") in (manifest.pii | _not_about_people(class))
}

_not_about_people(class) := {""} if not class in data.platform.classes.about_people

else := set()
