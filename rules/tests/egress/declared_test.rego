package tests.egress.declared_test

import data.platform.rules.egress.declared
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in declared.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in declared.deny} with input as request
}

test_a_list_passes if {
	_places(requests.deploy) == set()
}

test_an_empty_list_passes if {
	_places(requests.changed(requests.template, "/app/egress", [])) == set()
}

test_a_missing_list_is_refused_and_an_empty_one_proposed if {
	_places(requests.without(requests.deploy, "/app/egress")) == {["app", "egress"]}
	_fixes(requests.without(requests.deploy, "/app/egress")) == {[{"op": "add", "path": ["app", "egress"], "value": []}]}
}

test_a_list_in_words_is_refused if {
	request := requests.changed(requests.deploy, "/app/egress", "api.hris.example.com")
	_places(request) == {["app", "egress"]}
}

test_without_an_app_there_is_no_list if {
	_places(requests.without(requests.deploy, "/app")) == {["app", "egress"]}
}
