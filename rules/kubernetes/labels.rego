# METADATA
# title: Workloads say whose they are and who pays
# description: A workload and the pod it makes have labels for the tenant, the app and a cost center of that tenant.
# custom:
#   id: KUB-008
#   severity: medium
#   applies_to: [workload]
#   controls: ["ISO-27001:A.5.9", "SOC2:CC2.1", "GDPR:Art.32", "NIST-SP-800-53:CM-8"]
#   remediation: "Add the label to metadata.labels, in the pod template as well."
package platform.rules.kubernetes.labels

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some path in _places
	some label in data.platform.kubernetes.labels
	_text(path, label) == ""
	v := {
		"path": array.concat(path, [label]),
		"message": sprintf("The label %s is missing.", [label]),
		"effect": workload.effect,
	}
}

deny contains v if {
	pods.is_written
	some path in _places
	label := data.platform.kubernetes.labels.cost_center
	not _text(path, label) in lists.at(["facts", "tenant", "cost_centers"])
	v := {
		"path": array.concat(path, [label]),
		"message": "The cost center is not one of the tenant's.",
		"effect": workload.effect,
	}
}

_places := {["resource", "metadata", "labels"], array.concat(pods.metadata_path, ["labels"])}

_text(path, label) := lists.text_of(object.get(input, path, {}), label)
