package tests.registry.waiver_four_eyes_test

import data.platform.rules.registry.waiver_four_eyes
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in waiver_four_eyes.deny} with input as request
}

test_two_people_pass if {
	_places(requests.registry_entry) == set()
}

test_one_person_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/approver", "lead@example.com")) == {["resource", "spec", "approver"]}
}

test_one_person_in_capitals_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/approver", " Lead@Example.com ")) == {["resource", "spec", "approver"]}
}

test_no_approver_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/approver", "")) == {["resource", "spec", "approver"]}
}

test_no_owner_is_refused if {
	_places(requests.without(requests.registry_entry, "/resource/spec/owner")) == {["resource", "spec", "approver"]}
}

test_a_spec_that_is_no_object_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec", 7)) == {["resource", "spec", "approver"]}
}

test_a_connector_has_no_approver if {
	_places(requests.changed(requests.without(requests.registry_entry, "/resource/spec/approver"), "/resource/kind", "Connector")) == set()
}

test_facts_change_nothing_about_people if {
	_places(requests.without(requests.registry_entry, "/facts")) == set()
}
