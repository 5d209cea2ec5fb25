package tests.obligations.label_test

import data.platform.obligations.label
import data.tests.lib.requests

_values(request) := values if {
	values := label.oblige with input as request
}

test_the_tenant_is_a_label if {
	_values(requests.deploy) == {{"name": "microapps.internal/tenant", "value": "marketing"}}
}

test_without_a_tenant_there_is_none if {
	_values(requests.without(requests.deploy, "/app/tenant")) == set()
}

test_what_is_no_name_is_no_label if {
	_values(requests.changed(requests.deploy, "/app/tenant", 7)) == set()
	_values(requests.changed(requests.deploy, "/app/tenant", "")) == set()
}
