package tests.obligations.workload_caps_test

import data.platform.obligations.workload_caps

_of(tenant) := {"kind": "workload", "action": "create", "tenant": tenant, "resource": {"kind": "Pod"}}

test_limits_are_the_platform_s_own if {
	values := workload_caps.oblige with input as _of("hr")
	values == {{"cpu": 1, "memoryMiB": 1024}}
}
