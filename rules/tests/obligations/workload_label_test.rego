package tests.obligations.workload_label_test

import data.platform.obligations.workload_label

_of(tenant) := {"kind": "workload", "action": "create", "tenant": tenant, "resource": {"kind": "Pod"}}

test_the_tenant_is_a_label_of_the_pods if {
	values := workload_label.oblige with input as _of("hr")
	values == {{"name": "microapps.internal/tenant", "value": "hr"}}
}

test_what_has_no_tenant_gets_no_label if {
	values := workload_label.oblige with input as _of("")
	values == set()
}
