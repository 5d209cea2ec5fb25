# How findings in a flow's payload are made harmless for a destination that is not cleared for them: one step for each, of
# the method that the data gives for its kind.
package platform.lib.protection

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.event
import data.platform.lib.findings

steps contains step if {
	some found in findings.pii
	not found.class in data.platform.classes.free
	not found.class in destination.cleared
	not answer.clears(found)
	not event.clears(found)
	step := _step(found, _method(found))
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
