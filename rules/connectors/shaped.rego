# METADATA
# title: Calls and answers have the registered shape
# description: Where the registry has a schema for an operation, the body of a call and a successful answer must follow it.
# custom:
#   id: CONN-012
#   severity: high
#   applies_to: [connector_call, data_flow]
#   controls: ["ISO-27001:A.8.26", "SOC2:PI1.2", "GDPR:Art.25", "NIST-SP-800-53:SI-10"]
#   remediation: Send what the operation takes; for an answer, ask the connector's owner what the vendor changed.
package platform.rules.connectors.shaped

import data.platform.lib.answer
import data.platform.lib.lists
import data.platform.lib.operation

deny contains v if {
	some name in _looked_at
	some error in lists.at(["facts", "shapes", name])
	v := {
		"path": array.concat(["resource"], lists.of(error, "path")),
		"message": sprintf("The operation %s: this %s.", [json.marshal(name), lists.text_of(error, "message")]),
	}
}

# A shape that nobody looked at is none that fits.
deny contains v if {
	some name in _looked_at
	not is_array(object.get(input, ["facts", "shapes", name], null))
	v := {
		"path": ["resource"],
		"message": sprintf("Nobody could say whether the operation %s has the registered shape.", [json.marshal(name)]),
	}
}

# A body that nobody expects is one that somebody on the way may take for the next request.
deny contains v if {
	input.kind == "connector_call"
	object.get(input, ["resource", "body"], null) != null
	not _takes_body
	v := {
		"path": ["resource", "body"],
		"message": "A call of this method has no body, unless the registry says which.",
	}
}

_takes_body if input.resource.method in data.platform.egress.methods_with_body

_takes_body if {
	some called in operation.called
	"request" in lists.of(called, "shaped")
}

# What the broker passes on answers a known operation.
deny contains v if {
	answer.is_answer
	object.get(input, ["context", "enforcement_point"], "") == "broker"
	count(operation.answered) == 0
	v := {"path": ["resource"], "message": "The answer does not say which operation of the connector it answers."}
}

_looked_at contains called.name if {
	some called in operation.called
	"request" in lists.of(called, "shaped")
}

_looked_at contains answered.name if {
	_is_success
	some answered in operation.answered
	"response" in lists.of(answered, "shaped")
}

# An error of the vendor has a shape of its own; what it holds is looked into like any other answer.
_is_success if not _is_error

_is_error if {
	status := input.context.status
	is_number(status)
	status >= 400
}
