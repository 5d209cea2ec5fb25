# METADATA
# title: Data classes are ones the platform knows
# description: A manifest declares at least one data class, and only classes that have limits.
# custom:
#   id: DATA-002
#   severity: medium
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.5.12", "SOC2:CC6.7", "GDPR:Art.5", "NIST-SP-800-53:RA-2"]
#   remediation: "Use the classes of the catalog: public, internal, confidential, restricted, personal, financial, special."
package platform.rules.data.classes_known

import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	count(manifest.classes) == 0
	v := {
		"path": ["app", "data", "classes"],
		"message": "The manifest does not say which classes of data the app handles.",
	}
}

deny contains v if {
	some i, class in lists.at(["app", "data", "classes"])
	not class in data.platform.classes.known
	v := {
		"path": ["app", "data", "classes", i],
		"message": sprintf("The data class %s is not one the platform knows.", [json.marshal(class)]),
	}
}
