# METADATA
# title: Headers to drop before a call leaves
# description: Headers that only the broker sets, where the app sent one of its own.
# custom:
#   type: header
#   applies_to: [connector_call]
package platform.obligations.header

oblige contains value if {
	headers := object.get(input, ["resource", "headers"], {})
	is_object(headers)
	some name, _ in headers
	lower(name) in data.platform.headers.broker_owned
	value := {"op": "remove", "name": name}
}
