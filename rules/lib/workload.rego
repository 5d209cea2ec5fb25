# What the platform's own rules for workloads ask beside the pod itself.
package platform.lib.workload

# Where the question names a Pod Security profile, that alone decides, and these rules only warn.
effect := data.platform.kubernetes.weight.beside_profile if {
	object.get(input, ["context", "profile"], "") != ""
} else := data.platform.kubernetes.weight.alone

# What a table by tenants says of this one.
of_tenant(table) := own if {
	own := table[input.tenant]
} else := object.get(table, "*", [])
