# Fixtures of the masks: `governance rules --rules deploy/examples/audit-mask test` runs them.
package tests.system.log_test

import data.system.log

_call := {
	"labels": {"kind": "connector_call", "app": "lunch", "tenant": "marketing"},
	"input": {"resource": {"connector": "hr-directory", "body": {"salary": 1}}, "context": {"phone": "1"}},
	"result": {},
}

test_a_salary_is_replaced if {
	{"op": "upsert", "path": "/input/resource/body/salary", "value": "[salary]"} in log.mask with input as _call
}

test_a_phone_number_is_removed_whatever_is_asked if {
	"/input/context/phone" in log.mask with input as {"labels": {"kind": "deploy", "app": "x"}, "input": {}}
}

test_every_guest_is_masked if {
	event := {"labels": {"kind": "data_flow", "app": "x"}, "input": {"resource": {"payload": {"guests": [{}, {}]}}}}
	{"/input/resource/payload/guests/0/diet", "/input/resource/payload/guests/1/diet"} & log.mask == {
		"/input/resource/payload/guests/0/diet",
		"/input/resource/payload/guests/1/diet",
	} with input as event
}

test_nothing_else_is_masked if {
	count(log.mask) == 1 with input as {"labels": {"kind": "deploy", "app": "x"}, "input": {}}
}

test_of_a_whistleblower_nothing_is_kept if {
	log.drop with input as {"labels": {"kind": "data_flow", "app": "whistleblowing"}, "input": {}}
}
