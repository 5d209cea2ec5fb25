package tests.obligations.runtime_class_test

import data.platform.obligations.runtime_class
import data.tests.lib.requests

_values(request) := values if {
	values := runtime_class.oblige with input as request
}

test_the_manifest_s_class_is_named if {
	_values(requests.deploy) == {"wasm"}
}

test_an_unknown_class_is_not if {
	_values(requests.changed(requests.deploy, "/app/runtime/class", "bare-metal")) == set()
}

test_without_an_app_there_is_none if {
	_values(requests.without(requests.deploy, "/app")) == set()
}
