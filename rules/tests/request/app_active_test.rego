package tests.request.app_active_test

import data.platform.rules.request.app_active
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in app_active.deny} with input as request
}

test_an_active_app_passes if {
	_places(requests.connector_call) == set()
}

test_an_archived_app_is_refused if {
	_places(requests.changed(requests.data_flow, "/facts/app/state", "archived")) == {["resource", "app"]}
}

test_an_idle_app_wakes_up if {
	_places(requests.changed(requests.connector_call, "/facts/app/state", "idle")) == set()
}

test_no_facts_means_no_state if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource", "app"]}
}
