# METADATA
# title: The operation that a call is
# description: For the broker, which registered operations the call matched, what each costs, and whether its answer may come record by record.
# custom:
#   type: operation
#   applies_to: [connector_call]
package platform.obligations.operation

import data.platform.lib.operation

# Another door does not meter or cut answers, and what it cannot carry out it refuses.
oblige contains value if {
	input.context.enforcement_point == "broker"
	some called in operation.called
	value := {
		"name": called.name,
		"cost_microeur": object.get(called, "cost_microeur", 0),
		"stream": object.get(called, "stream", ""),
	}
}
