# METADATA
# title: Clock and randomness are ones that the runtime can give
# description: An app that asks for a coarse or fixed clock, or for seeded randomness, runs in a class that gives it.
# custom:
#   id: RUN-005
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.8", "GDPR:Art.32", "NIST-SP-800-53:SC-39"]
#   remediation: Ask for one that the message names, or for none.
package platform.rules.runtime.time_and_chance

deny contains v if {
	some member, given in _given
	asked := object.get(input, ["app", "runtime", member], null)
	asked != null
	not asked in given
	v := {
		"path": ["app", "runtime", member],
		"message": sprintf("The %s %s is not one that this runtime class gives; there is %s.", [
			member,
			json.marshal(asked),
			concat(", ", given),
		]),
	}
}

_given := {
	"clock": object.get(data.platform.runtime.clocks, _class, []),
	"randomness": object.get(data.platform.runtime.randomness, _class, []),
}

_class := object.get(input, ["app", "runtime", "class"], "")
