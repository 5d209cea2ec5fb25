# METADATA
# title: Personal data is named kind by kind
# description: An app that handles data about people lists the kinds, each kind is known, and its class is declared.
# custom:
#   id: DATA-003
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["GDPR:Art.30", "GDPR:Art.25", "SOC2:P3.1", "ISO-27001:A.5.12", "NIST-SP-800-53:PT-3"]
#   remediation: List under data.pii only the kinds the app needs, such as dietary_preference; the others stay masked.
package platform.rules.data.personal_kinds

import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	some class in manifest.classes
	class in data.platform.classes.about_people
	count(manifest.pii) == 0
	v := {
		"path": ["app", "data", "pii"],
		"message": sprintf("The app handles %s data but does not name the kinds it needs.", [class]),
	}
}

deny contains v if {
	some i, kind in lists.at(["app", "data", "pii"])
	class := object.get(data.platform.classes.kinds, kind, "unclassified")
	not class in manifest.classes
	v := {
		"path": ["app", "data", "pii", i],
		"message": sprintf("The kind %s is %s data, a class that the manifest does not declare.", [json.marshal(kind), class]),
	}
}
