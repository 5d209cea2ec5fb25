# METADATA
# title: Some data never leaves
# description: A payload that holds a kind of data, or a field of the source, which may not leave in any form is refused as a whole.
# custom:
#   id: DATA-016
#   severity: critical
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.8.12", "SOC2:CC6.7", "GDPR:Art.32", "NIST-SP-800-53:AC-4"]
#   remediation: Leave it out; no masking makes it fit to leave.
package platform.rules.data.refused

import data.platform.lib.protection

deny contains v if {
	some value in protection.refusals
	v := {
		"path": array.concat(["resource", "payload"], value.pointer),
		"message": sprintf("Data of the class %s may not leave in any form.", [json.marshal(value["class"])]),
	}
}
