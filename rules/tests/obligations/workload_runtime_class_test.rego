package tests.obligations.workload_runtime_class_test

import data.platform.obligations.workload_runtime_class

_of(tenant) := {"kind": "workload", "action": "create", "tenant": tenant, "resource": {"kind": "Pod"}}

_of_table(tenant, table) := values if {
	values := workload_runtime_class.oblige with input as _of(tenant)
		with data.platform.workloads.default_runtime_class as table
}

test_the_tenant_s_class_is_chosen if {
	_of_table("hr", {"*": "gvisor", "hr": "microvm"}) == {"microvm"}
}

test_a_tenant_without_a_class_of_its_own_has_that_of_everybody if {
	_of_table("sales", {"*": "gvisor", "hr": "microvm"}) == {"gvisor"}
}

test_where_no_class_is_for_everybody_there_is_none if {
	_of_table("sales", {"hr": "microvm"}) == set()
}
