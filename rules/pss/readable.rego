# METADATA
# title: A workload has a pod that can be judged
# description: What is written as a workload holds a pod of the form that Kubernetes reads; anything else is refused, whatever the profile.
# custom:
#   id: PSS-001
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:SI-10", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Correct the object at the place that the message names; kubectl apply --dry-run=server says more."
package platform.rules.pss.readable

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.shapes

deny contains v if {
	pods.is_writing
	some member in ["apiVersion", "kind"]
	lists.text_of(object.get(input, "resource", {}), member) == ""
	v := {"path": ["resource", member], "message": sprintf("There is no object to judge: it has no %s.", [member])}
}

# Who asks says that it is a workload, and the object is something else.
deny contains v if {
	pods.is_writing
	object.get(input, ["context", "group_kind", "kind"], "") in object.keys(data.platform.pods.kept_at)
	not pods.is_written
	v := {"path": ["resource", "kind"], "message": "The object is of another kind than the one that was announced."}
}

deny contains v if {
	pods.is_writing
	endswith(pods.kind, "List")
	is_array(object.get(input, ["resource", "items"], null))
	v := {"path": ["resource", "kind"], "message": "A list is not judged as one: hand in each of its objects."}
}

deny contains v if {
	pods.is_written
	count(lists.of(pods.spec, data.platform.pods.container_lists[0])) == 0
	v := {"path": pods.spec_path, "message": "The workload has no pod with a container."}
}

deny contains v if {
	pods.is_written
	some part in shapes.parts
	known := _types[part.sort]
	some name, value in part.value
	value != null
	wanted := known[name]
	type_name(value) != wanted
	v := {
		"path": array.concat(part.path, [name]),
		"message": sprintf("%s has to be of the type %s.", [name, wanted]),
	}
}

deny contains v if {
	pods.is_written
	some part in shapes.parts
	some name, wanted in _items[part.sort]
	found := object.get(part.value, name, null)
	type_name(found) in {"array", "object"}
	some key, item in found
	type_name(item) != wanted
	v := {
		"path": array.concat(part.path, [name, key]),
		"message": sprintf("What stands in %s has to be of the type %s.", [name, wanted]),
	}
}

_types := data.platform.pods.types

_items := data.platform.pods.items
