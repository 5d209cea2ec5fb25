# METADATA
# title: Apps change state only along known moves
# description: A change of state starts from the state the app is really in and follows one of the platform's moves.
# custom:
#   id: LIFE-001
#   severity: medium
#   applies_to: [lifecycle]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.5", "NIST-SP-800-53:CM-3"]
#   remediation: Choose a state that can follow the app's present one; the message names it.
package platform.rules.lifecycle.moves

deny contains v if {
	now := object.get(input, ["facts", "app", "state"], "")
	next := object.get(input, ["resource", "change", "to"], "")
	not next in object.get(data.platform.lifecycle.moves, now, [])
	v := {
		"path": ["resource", "change", "to"],
		"message": sprintf("An app that is %s cannot become %s.", [json.marshal(now), json.marshal(next)]),
	}
}

# A change that was planned for another state than the present one is out of date.
deny contains v if {
	planned := input.resource.change.from
	now := object.get(input, ["facts", "app", "state"], "")
	planned != now
	v := {
		"path": ["resource", "change", "from"],
		"message": sprintf("The change starts from %s, but the app is %s.", [json.marshal(planned), json.marshal(now)]),
	}
}
