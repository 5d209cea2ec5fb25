# METADATA
# title: Workloads belong to a known tenant
# description: The label for the tenant names a registered one, and the one that asks.
# custom:
#   id: KUB-009
#   severity: high
#   applies_to: [workload]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:CM-8"]
#   remediation: "Set the tenant's label to your business area's tenant name."
package platform.rules.kubernetes.tenant_known

import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some path in _places
	name := object.get(input, array.concat(path, [data.platform.kubernetes.labels.tenant]), null)
	not _is_known(name)
	v := {
		"path": array.concat(path, [data.platform.kubernetes.labels.tenant]),
		"message": sprintf("The tenant %s is not registered, or is not the one that asks.", [json.marshal(name)]),
		"effect": workload.effect,
	}
}

_places := {["resource", "metadata", "labels"], array.concat(pods.metadata_path, ["labels"])}

_is_known(name) if {
	name != ""
	name == input.tenant
	input.facts.tenant.known == true
	input.facts.tenant.name == name
}
