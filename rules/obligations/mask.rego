# METADATA
# title: Personal data to mask
# description: In a flow, findings and fields of the source that the destination is not cleared for; in a call's answer, the connector's sensitive fields that the app did not declare.
# custom:
#   type: mask
#   applies_to: [connector_call, data_flow]
package platform.obligations.mask

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.protection
import data.platform.lib.registry

oblige contains value if {
	some step in protection.steps
	step.method == "mask"
	value := step.value
}

# What the source itself says is sensitive is hidden from a destination that is not cleared for it, found or not.
oblige contains field if {
	some field in protection.fields
	not field["class"] in data.platform.classes.refused
}

# Also what it would be refused for under its own name: as a whole field, nothing of it is left.
oblige contains field if some field in protection.disguised

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
