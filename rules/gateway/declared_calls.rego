# METADATA
# title: An app takes only the calls that it declares
# description: Where a manifest lists the calls that the app takes (spec.api), any other is refused, and so is a query or a body that its schema does not accept.
# custom:
#   id: GW-002
#   severity: high
#   applies_to: [app_call]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:SI-10"]
#   remediation: Call as the app's spec.api says, or have the app's owner declare the call.
package platform.rules.gateway.declared_calls

import data.platform.lib.declared
import data.platform.lib.lists

deny contains v if {
	declared.is_listed
	count(declared.calls) == 0
	v := {
		"path": ["resource", "path"],
		"message": "The app declares no call with this method and path.",
	}
}

# Where several declared calls fit, each of them has to accept what is sent.
deny contains v if {
	some part in ["query", "body"]
	some call in declared.calls
	not _accepts(call, part)
	v := {
		"path": ["resource", part],
		"message": sprintf("The %s is not what the app declares for %s %s.", [
			part, lists.text_of(call.it, "method"), lists.text_of(call.it, "path"),
		]),
	}
}

_nothing := {"query": {}, "body": null}

# What has no schema is not sent at all.
_accepts(call, part) if {
	object.get(call.it, part, null) == null
	object.get(lists.object_of(input, "resource"), part, _nothing[part]) == _nothing[part]
}

# Whoever held it against the schema did so for the very deploy that this is about.
_accepts(call, part) if {
	is_object(call.it[part])
	is_object(input.resource[part])
	is_string(input.facts.app.digest)
	input.facts.api.digest == input.facts.app.digest
	{"index": call.index, "part": part} in lists.at(["facts", "api", "accepted"])
}
