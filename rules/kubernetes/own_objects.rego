# METADATA
# title: The platform's manifests are judged as such
# description: An object of the platform's own API group is a template or a deploy; under another name, or as a part of one, it is refused.
# custom:
#   id: KUB-001
#   severity: high
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-3"]
#   remediation: "Hand it in as a MicroApp or AppTemplate; only the platform writes their status."
package platform.rules.kubernetes.own_objects

import data.platform.lib.lists

deny contains v if {
	version := lists.text_of(object.get(input, "resource", {}), "apiVersion")
	split(version, "/")[0] in data.platform.kubernetes.own_groups
	v := {
		"path": ["resource", "apiVersion"],
		"message": "An object of the platform's own is a MicroApp or an AppTemplate, and handed in as a whole.",
	}
}

# As the API server names it: what it asks about may bring no object.
deny contains v if {
	object.get(input, ["context", "group_kind", "group"], "") in data.platform.kubernetes.own_groups
	v := {
		"path": ["context", "group_kind"],
		"message": "Of the platform's own objects there is nothing to do but to create, update and delete them.",
	}
}
