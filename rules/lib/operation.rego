# Which registered operations a call is: by method, name, scope, and its decoded path against their templates.
package platform.lib.operation

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.registry

called contains operation if {
	input.kind == "connector_call"
	some c in destination.entries
	some operation in c.operations
	operation.method == input.resource.method
	object.get(input, ["resource", "operation"], operation.name) == operation.name
	operation.scope in lists.at(["resource", "scopes"])
	some template in lists.of(operation, "paths")
	_is_at(template, lists.of(operation, "reserved"))
}

# An answer says which operations it answers; only its own connector's count.
answered contains operation if {
	answer.is_answer
	some c in registry.entries
	c.name == input.resource.source
	some operation in c.operations
	operation.name in lists.at(["context", "operations"])
}

_given := split(lists.text_of(object.get(input, ["facts", "url"], {}), "path"), "/")

# Segment by segment: as many as the template has, each the same or a parameter's value.
_is_at(template, reserved) if {
	is_string(template)
	wanted := split(template, "/")
	count(wanted) == count(_given)
	fitting := [part | some i, part in wanted; _fits(part, _given[i], reserved)]
	count(fitting) == count(wanted)
}

_fits(part, given, _) if {
	part == given
	not startswith(part, "{")
}

_fits(part, given, reserved) if {
	startswith(part, "{")
	given != ""
	not given in reserved
	is_array(data.platform.paths.not_in_parameters)
	not _is_path_in_itself(given)
}

_is_path_in_itself(given) if {
	some character in data.platform.paths.not_in_parameters
	contains(given, character)
}
