# How findings in a flow's payload are made harmless for a destination that is not cleared for them: one step for each, of
# the method that the data gives for its kind.
package platform.lib.protection

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.event
import data.platform.lib.findings
import data.platform.lib.lists
import data.platform.lib.registry

steps contains step if {
	some found in exposed
	step := _step(found, _method(found))
}

# Findings that the destination is not cleared for.
exposed contains found if {
	some found in findings.pii
	not found.class in data.platform.classes.free
	not found.class in destination.cleared
	not answer.clears(found)
	not event.clears(found)
}

# What is harmless alone and identifying with the others of its record is made coarser.
steps contains step if {
	not "personal" in destination.cleared
	some together in identifying
	some found in together.findings
	step := _step(found, "generalize")
}

# An answer is hidden from the app that asked, and an event from who may not know; what could be turned back, or compared, is
# for other flows.
_method(found) := "mask" if _is_hidden

else := object.get(data.platform.flows.methods, found.entity, "mask")

_is_hidden if answer.is_answer

_is_hidden if event.is_event

_step(found, method) := step if {
	input.kind == "data_flow"
	found.segments[0] == "payload"
	value := {
		"pointer": array.slice(found.segments, 1, count(found.segments)),
		"class": found.class,
		"entity": found.entity,
	}
	step := {"method": method, "value": object.union(value, _span(found))}
}

_span(found) := {"span": found.span} if count(found.span) == 2

else := {}

# Fields that the source itself says are sensitive and the payload has, whether anything was found in them or not.
fields contains field if {
	some field in _sensitive
	_is_there(field.pointer)
}

# Those that it may have under a name written in another way: too little to refuse the payload for, and enough to have it
# looked through, which changes nothing where no name means the same.
disguised contains field if {
	some field in _sensitive
	_may_be_there(field.pointer)
}

_sensitive contains {"pointer": pointer, "class": class} if {
	input.kind == "data_flow"
	not answer.is_answer
	some c in registry.entries
	c.name == input.resource.source
	some field in c.fields
	class := object.get(field, "class", "unclassified")
	not class in data.platform.classes.free
	not class in destination.cleared
	pointer := lists.of(field, "pointer")
}

# What is not changed on its way out but stays.
refusals contains step.value if {
	some step in steps
	step.method == "refuse"
}

refusals contains field if {
	some field in fields
	field["class"] in data.platform.classes.refused
}

# Whether the payload has the shape of the source's answer: the first step of the pointer leads somewhere.
_is_there(pointer) if {
	payload := object.get(input, ["resource", "payload"], {})
	is_object(payload)
	is_string(pointer[0])
	_plain(pointer[0]) in {_plain(name) | some name, _ in payload}
}

_may_be_there(pointer) if {
	payload := object.get(input, ["resource", "payload"], {})
	is_object(payload)
	is_string(pointer[0])
	pointer[0] != "*"
	some name in {pointer[0]} | object.keys(payload)
	_is_disguised(name)
}

_plain(name) := lower(trim_space(name))

# Names with other signs than ASCII's, with control signs or with space around them: whoever masks reads through all of these,
# and which letter a sign stands for is not for a rule to work out.
_is_disguised(name) if regex.match(`[^ -~]|^ | $`, name)

# Anywhere at all.
_is_there(pointer) if pointer[0] == "**"

_is_there(pointer) if {
	pointer[0] == "*"
	is_array(object.get(input, ["resource", "payload"], {}))
}

# Records in which so many harmless findings meet that they point at one person.
identifying contains {"record": record, "findings": group} if {
	some record in _records
	group := {found | some found in _quasi; _record(found) == record}
	entities := {found.entity | some found in group}
	count(entities) >= data.platform.flows.identifying_together
}

_quasi contains found if {
	some found in findings.pii
	found.entity in data.platform.flows.quasi_identifiers
	found.class in data.platform.classes.free
}

_records contains _record(found) if some found in _quasi

# The object, row or element that a finding stands in.
_record(found) := array.slice(place, 0, count(place) - 1) if {
	place := array.concat(found.segments, found.within)
	count(place) > 0
}
