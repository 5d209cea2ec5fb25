# METADATA
# title: "A connector says of which class its fields are"
# description: "Every field that a connector's document names has one of the known data classes; one that was imported has none until its owner has said it."
# custom:
#   id: REG-006
#   severity: high
#   applies_to: [registry_entry]
#   controls: ["ISO-27001:A.5.12", "SOC2:CC6.7", "GDPR:Art.25", "NIST-SP-800-53:RA-2"]
#   remediation: "Give each field a class of rules/data/platform/classes.yaml, or take it out where it is harmless in every answer."
package platform.rules.registry.connector_fields

import data.platform.lib.lists

deny contains v if {
	input.resource.kind == "Connector"
	some i, field in lists.of(lists.object_of(input.resource, "spec"), "fields")
	not lists.text_of(field, "class") in data.platform.classes.known
	v := {
		"path": ["resource", "spec", "fields", i, "class"],
		"message": sprintf("%s is no data class, so nobody knows who may see the field.", [json.marshal(lists.text_of(field, "class"))]),
	}
}
