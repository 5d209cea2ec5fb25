# METADATA
# title: Personal data to mask
# description: In a flow, findings that the destination is not cleared for; in a call's answer, the connector's sensitive fields that the app did not declare.
# custom:
#   type: mask
#   applies_to: [connector_call, data_flow]
package platform.obligations.mask

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.findings
import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

oblige contains value if {
	input.kind == "data_flow"
	some found in findings.pii
	not found.class in data.platform.classes.free
	not found.class in destination.cleared
	not answer.clears(found)
	found.segments[0] == "payload"
	value := {"pointer": array.slice(found.segments, 1, count(found.segments)), "class": found.class}
}

oblige contains value if {
	some c in _answering
	some field in c.fields
	class := object.get(field, "class", "unclassified")
	not manifest.declares(class, object.get(field, "pii", ""))
	pointer := lists.of(field, "pointer")
	value := {"pointer": pointer, "class": class}
}

# The connector that a call goes to, or that the answer of one comes from.
_answering contains c if {
	input.kind == "connector_call"
	some c in destination.entries
}

_answering contains c if {
	answer.is_answer
	some c in registry.entries
	c.name == input.resource.source
}
