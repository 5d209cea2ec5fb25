# METADATA
# title: Headers to drop before a call leaves
# description: Headers that no app sends along, for the broker sets its own; headers of an answer in which personal data was found.
# custom:
#   type: header
#   applies_to: [connector_call, data_flow]
package platform.obligations.header

import data.platform.lib.answer
import data.platform.lib.protection

oblige contains value if {
	input.kind == "connector_call"
	headers := object.get(input, ["resource", "headers"], {})
	is_object(headers)
	some name, _ in headers
	not lower(name) in data.platform.headers.passed
	value := {"op": "remove", "name": name}
}

oblige contains value if {
	answer.is_answer
	some found in protection.exposed
	found.segments[0] == "headers"
	value := {"op": "remove", "name": found.segments[1]}
}
