# METADATA
# title: An app answers only what it declares
# description: Where a manifest lists the answers of a call (spec.api, answers), one with another status is held back, and so is one whose body its schema does not accept or nobody could read.
# custom:
#   id: GW-006
#   severity: high
#   applies_to: [app_answer]
#   controls: ["ISO-27001:A.8.12", "SOC2:CC6.7", "GDPR:Art.25", "NIST-SP-800-53:SI-15"]
#   remediation: Have the app answer as its spec.api says, or have its owner declare the answer.
package platform.rules.gateway.declared_answers

import data.platform.lib.declared
import data.platform.lib.lists

# An answer to a call that the app does not take is none that it declares.
deny contains v if {
	declared.is_listed
	count(declared.calls) == 0
	v := {
		"path": ["resource", "path"],
		"message": "The app declares no call with this method and path.",
	}
}

# Where several declared calls fit, each of them has to allow the answer.
deny contains v if {
	some call in declared.calls
	object.get(call.it, "answers", null) != null
	not _allows(call)
	v := {
		"path": ["resource", "body"],
		"message": sprintf("The answer %s is not what the app declares for %s %s%s.", [
			_status, lists.text_of(call.it, "method"), lists.text_of(call.it, "path"), _because,
		]),
	}
}

_resource := lists.object_of(input, "resource")

_status := json.marshal(object.get(_resource, "status", null))

_because := sprintf(": %s", [lists.text_of(_resource, "unreadable")]) if {
	lists.text_of(_resource, "unreadable") != ""
} else := ""

# Whatever was there to read and could not be read is not the declared answer.
_allows(call) if {
	lists.text_of(_resource, "unreadable") == ""
	name := _named(lists.object_of(call.it, "answers"))
	_accepts(call, name)
}

# The status itself, its hundred, or whatever else there is: the first that is declared.
_named(answers) := _status if {
	_status in object.keys(answers)
} else := sprintf("%sXX", [substring(_status, 0, 1)]) if {
	sprintf("%sXX", [substring(_status, 0, 1)]) in object.keys(answers)
} else := "default" if {
	"default" in object.keys(answers)
}

# Declared without a schema: it has no body.
_accepts(call, name) if {
	call.it.answers[name] == null
	not "body" in object.keys(_resource)
}

# Whoever held it against the schema did so for the very deploy that this is about.
_accepts(call, name) if {
	is_object(call.it.answers[name])
	_is_document(input.resource.body)
	is_string(input.facts.app.digest)
	input.facts.api.digest == input.facts.app.digest
	{"index": call.index, "part": "answers", "status": name} in lists.at(["facts", "api", "accepted"])
}

_is_document(body) if is_object(body)

_is_document(body) if is_array(body)
