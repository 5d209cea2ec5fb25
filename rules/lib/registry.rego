# What the registry says about the connectors that a request names. No entry, or no facts at all, means not usable.
package platform.lib.registry

import data.platform.lib.agreement
import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.manifest

# The connectors that the request itself names, and where.
requested contains r if {
	input.kind in {"template", "deploy"}
	some c in manifest.connectors
	r := {"name": c.name, "path": ["app", "connectors", c.index, "name"]}
}

requested contains r if {
	input.kind in {"connector_call", "consent"}
	r := {"name": object.get(input, ["resource", "connector"], ""), "path": ["resource", "connector"]}
}

requested contains r if {
	input.kind == "data_flow"
	name := input.resource.destination.connector
	r := {"name": name, "path": ["resource", "destination", "connector"]}
}

# A flow to an address asks for the connectors that own its host, as it does by name.
requested contains r if {
	input.kind == "data_flow"
	object.get(input, ["resource", "destination", "connector"], "") == ""
	some name in destination.names
	r := {"name": name, "path": ["resource", "destination", "url"]}
}

requested contains r if {
	answer.is_answer
	r := {"name": object.get(input, ["resource", "source"], ""), "path": ["resource", "source"]}
}

_states := {"approved", "deprecated"}

# What an entry calls itself is the lesser half: one that is proposed becomes usable when both have agreed to it.
_is_usable(state, _) if state in _states

_is_usable("proposed", name) if name in agreement.agreed

# Usable connectors, every member present and of its type, whatever the facts hold.
entries contains c if {
	some known in lists.at(["facts", "connectors"])
	state := lists.text_of(known, "state")
	name := lists.text_of(known, "name")
	name != ""
	_is_usable(state, name)
	c := {
		"name": name,
		"state": state,
		"hosts": lists.of(known, "hosts"),
		"regions": lists.of(known, "regions"),
		"region_hosts": lists.object_of(known, "region_hosts"),
		"scopes": lists.object_of(known, "scopes"),
		"data_classes": lists.of(known, "data_classes"),
		"operations": [operation | some operation in lists.of(known, "operations"); is_object(operation)],
		"fields": [field | some field in lists.of(known, "fields"); is_object(field)],
		"limits": lists.object_of(known, "limits"),
		"per_minute": lists.object_of(known, "per_minute"),
		"tenants": lists.of(known, "tenants"),
		"acts_for_person": object.get(known, "acts_for_person", true),
		"retires_at": object.get(known, "retires_at", null),
		"review_by": lists.text_of(known, "review_by"),
		"replaced_by": lists.text_of(known, "replaced_by"),
		"recipients": object.get(known, "recipients", null),
	}
}

usable contains c.name if some c in entries

# [connector, host] as registered.
hosts contains [c.name, host] if {
	some c in entries
	some host in c.hosts
}

# [connector, scope, access] as registered.
access contains [c.name, scope, level] if {
	some c in entries
	some scope, level in c.scopes
}

scopes contains [name, scope] if some [name, scope, _] in access
