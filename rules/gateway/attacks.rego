# METADATA
# title: Requests that look like attacks are stopped
# description: Where the app's audience asks for it, a request is looked at with the OWASP core rule set, and one that reaches the platform's anomaly score is refused.
# custom:
#   id: GW-005
#   severity: high
#   applies_to: [app_call]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SI-4"]
#   remediation: Send the values in another form, or have the platform team excuse the app from the rule that is named.
package platform.rules.gateway.attacks

import data.platform.lib.lists

deny contains v if {
	_is_wanted
	not _is_below
	v := {
		"path": ["resource"],
		"message": sprintf("The request looks like an attack, or nobody looked at it; rules: %s.", [_named]),
	}
}

_audience := lists.object_of(data.platform.gateway.audience, lists.text_of(object.get(input, "app", {}), "audience"))

# Whatever is not plainly a no is a yes.
_is_wanted if object.get(_audience, "attacks", true) != false

_is_below if {
	score := input.facts.attack.score
	is_number(score)
	score < data.platform.gateway.attack_score
}

_named := concat(", ", [id |
	some id in lists.at(["facts", "attack", "rules"])
	is_string(id)
])
