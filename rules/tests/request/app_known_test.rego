package tests.request.app_known_test

import data.platform.rules.request.app_known
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in app_known.deny} with input as request
}

test_a_deployed_app_passes if {
	_places(requests.connector_call) == set()
}

test_an_app_without_a_deploy_is_refused if {
	_places(requests.changed(requests.data_flow, "/facts/app/known", false)) == {["resource", "app"]}
}

test_no_facts_means_no_app_is_known if {
	_places(requests.without(requests.publish, "/facts")) == {["resource", "app"]}
}

test_words_are_no_proof_of_a_deploy if {
	_places(requests.changed(requests.lifecycle, "/facts/app/known", "yes")) == {["resource", "app"]}
}
