# What the registry says about the connectors that a request names. No entry, or no facts at all, means not usable.
package platform.lib.registry

import data.platform.lib.manifest

# The connectors that the request itself names, and where.
requested contains r if {
	input.kind in {"template", "deploy"}
	some c in manifest.connectors
	r := {"name": c.name, "path": ["app", "connectors", c.index, "name"]}
}

requested contains r if {
	input.kind == "connector_call"
	r := {"name": object.get(input, ["resource", "connector"], ""), "path": ["resource", "connector"]}
}

requested contains r if {
	input.kind == "data_flow"
	name := input.resource.destination.connector
	r := {"name": name, "path": ["resource", "destination", "connector"]}
}

states := {"approved", "deprecated"}

entries contains c if {
	some c in input.facts.connectors
	c.state in states
}

usable contains c.name if some c in entries

# "<connector> <host>" pairs, one lookup instead of two loops.
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
