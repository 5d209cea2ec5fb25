# METADATA
# title: An archived app is restored before it is deployed
# description: A deploy may not bring back an app that is archived or deleted; only a lifecycle step may.
# custom:
#   id: LIFE-003
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.5", "NIST-SP-800-53:CM-3"]
#   remediation: Restore the app first, then deploy it.
package platform.rules.lifecycle.restore_first

deny contains v if {
	not _may_be_deployed
	v := {
		"path": ["app", "name"],
		"message": sprintf("The app is in the state %s, or nobody can say in which.", [
			json.marshal(object.get(input, ["facts", "app", "state"], "")),
		]),
	}
}

_may_be_deployed if input.facts.app.known == false

_may_be_deployed if {
	input.facts.app.known == true
	input.facts.app.state in data.platform.lifecycle.may_act
}
