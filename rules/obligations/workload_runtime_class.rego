# METADATA
# title: The runtime class of a workload that names none
# description: The class of its tenant, or of everybody who has none.
# custom:
#   type: runtime_class
#   applies_to: [workload]
package platform.obligations.workload_runtime_class

oblige contains class if {
	table := data.platform.workloads.default_runtime_class
	class := object.get(table, object.get(input, "tenant", ""), object.get(table, "*", ""))
	class != ""
}
