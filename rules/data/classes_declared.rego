# METADATA
# title: An app declares the classes of data it touches
# description: Every class of data that an app's connectors hold must be declared under data.classes, but for the harmless ones.
# custom:
#   id: DATA-001
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.5.12", "GDPR:Art.30", "SOC2:CC6.7", "NIST-SP-800-53:RA-2"]
#   remediation: Add the class to data.classes; its limits then apply.
package platform.rules.data.classes_declared

import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some used in manifest.connectors
	some c in registry.entries
	c.name == used.name
	some class in c.data_classes
	not class in data.platform.classes.free
	not class in manifest.classes
	v := {
		"path": ["app", "data", "classes"],
		"message": sprintf("The connector %q holds data of the class %s, which the manifest does not declare.", [c.name, json.marshal(class)]),
	}
}
