# METADATA
# title: The tenant's label on a workload's pods
# description: Whose a workload is by its label, its pods are too, so that a NetworkPolicy finds them.
# custom:
#   type: label
#   applies_to: [workload]
package platform.obligations.workload_label

oblige contains label if {
	tenant := object.get(input, "tenant", "")
	tenant != ""
	label := {"name": data.platform.workloads.tenant_label, "value": tenant}
}
