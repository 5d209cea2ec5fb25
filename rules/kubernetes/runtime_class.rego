# METADATA
# title: The runtime class is one of the tenant's
# description: A pod names a runtime class, and one that its tenant may use.
# custom:
#   id: KUB-005
#   severity: high
#   applies_to: [workload]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.8", "GDPR:Art.32", "NIST-SP-800-53:SC-39"]
#   remediation: "Set runtimeClassName to a class that the message names."
package platform.rules.kubernetes.runtime_class

import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	class := object.get(pods.spec, "runtimeClassName", null)
	allowed := workload.of_tenant(data.platform.kubernetes.runtime_classes)
	not class in allowed
	v := {
		"path": array.concat(pods.spec_path, ["runtimeClassName"]),
		"message": sprintf("The runtime class %s is not one of the tenant's: %s.", [json.marshal(class), concat(", ", allowed)]),
		"effect": workload.effect,
	}
}
