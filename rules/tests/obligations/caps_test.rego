package tests.obligations.caps_test

import data.platform.obligations.caps
import data.tests.lib.requests

_values(request) := values if {
	values := caps.oblige with input as request
}

test_all_four_caps_are_named if {
	_values(requests.deploy) == {{"cpu": 0.5, "memoryMiB": 256, "storageMiB": 64, "timeoutMs": 5000}}
}

test_anything_else_under_caps_is_left_out if {
	_values(requests.extended(requests.deploy, "/app/runtime/caps/gpu", 8)) == {{"cpu": 0.5, "memoryMiB": 256, "storageMiB": 64, "timeoutMs": 5000}}
}

test_a_missing_cap_means_none_at_all if {
	_values(requests.without(requests.deploy, "/app/runtime/caps/cpu")) == set()
}
