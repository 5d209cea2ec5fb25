package tests.lib.reveal_test

import data.platform.lib.reveal

_input := {"roles": ["compliance"], "tenant": "marketing", "key_tenant": "", "entity": "EMPLOYEE_ID", "reason": "Request of the works council."}

_allows(request) := allowed if {
	allowed := reveal.allow with input as request with data.platform.flows.reveal_roles as ["compliance"]
}

test_a_named_role_with_a_reason_may if {
	_allows(_input)
	_allows(object.union(_input, {"key_tenant": "marketing"}))
}

test_another_role_may_not if {
	not _allows(object.union(_input, {"roles": ["platform", "service"]}))
	not _allows(object.union(_input, {"roles": "compliance"}))
}

test_a_key_of_another_tenant_may_not if {
	not _allows(object.union(_input, {"key_tenant": "hr"}))
}

test_a_reason_has_to_say_something if {
	not _allows(object.union(_input, {"reason": "because   "}))
	not _allows(object.union(_input, {"reason": 123456789012}))
}

test_nothing_known_is_a_no if {
	not _allows({})
	not _allows(object.union(_input, {"tenant": ""}))
}
