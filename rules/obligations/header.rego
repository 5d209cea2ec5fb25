# METADATA
# title: Headers to drop before a call leaves
# description: Headers that no app sends along; the broker sets its own.
# custom:
#   type: header
#   applies_to: [connector_call]
package platform.obligations.header

oblige contains value if {
	headers := object.get(input, ["resource", "headers"], {})
	is_object(headers)
	some name, _ in headers
	not lower(name) in data.platform.headers.passed
	value := {"op": "remove", "name": name}
}
