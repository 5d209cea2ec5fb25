# METADATA
# title: Only the app's audience comes in
# description: Who calls an app through the gateway has a role that its audience admits, and is of the app's tenant where the audience is that narrow.
# custom:
#   id: GW-001
#   severity: high
#   applies_to: [app_call, app_answer]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Ask the app's owner for a wider audience, or call with an identity of its tenant.
package platform.rules.gateway.audience

import data.platform.lib.lists

deny contains v if {
	not _is_admitted
	v := {
		"path": ["subject"],
		"message": sprintf("The audience %s does not admit this caller.", [json.marshal(_name)]),
	}
}

_name := lists.text_of(lists.object_of(input, "app"), "audience")

_audience := lists.object_of(data.platform.gateway.audience, _name)

_is_admitted if _audience.anonymous == true

_is_admitted if {
	lists.text_of(input.subject, "role") in lists.of(_audience, "roles")
	_is_near_enough
}

_is_near_enough if {
	_audience.tenants == "any"
	lists.text_of(input.subject, "tenant") != ""
}

_is_near_enough if {
	_audience.tenants == "own"
	lists.text_of(input.subject, "tenant") == input.app.tenant
}
