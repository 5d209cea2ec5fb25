# A connector's answer on its way to the app that asked: a flow whose destination is that app, and nothing beside it.
package platform.lib.answer

import data.platform.lib.manifest

# Whole or not at all: a flow that also names an address, or another app, is no answer.
is_answer if {
	input.kind == "data_flow"
	is_string(input.app.name)
	input.app.name != ""
	input.resource.destination == {"app": input.app.name}
}

# Whether the app may see what was found in it: by class and, where it is about people, by kind.
clears(found) if {
	is_answer
	manifest.declares(found.class, object.get(data.platform.classes.entity_kinds, found.entity, "unknown"))
}
