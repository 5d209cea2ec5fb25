package tests.cost.owners_test

import data.platform.rules.cost.owners
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in owners.deny} with input as request
}

test_two_owners_pass if {
	_places(requests.deploy) == set()
}

test_a_missing_second_owner_is_refused if {
	_places(requests.without(requests.deploy, "/app/secondaryOwner")) == {["app", "secondaryOwner"]}
}

test_a_missing_owner_is_refused if {
	_places(requests.without(requests.deploy, "/app/owner")) == {["app", "owner"]}
}

test_the_same_person_twice_is_refused if {
	request := requests.changed(requests.deploy, "/app/secondaryOwner", "Lead@Example.com")
	_places(request) == {["app", "secondaryOwner"]}
}

test_blanks_are_nobody if {
	_places(requests.changed(requests.deploy, "/app/secondaryOwner", "  ")) == {["app", "secondaryOwner"]}
}

test_a_list_is_nobody if {
	request := requests.changed(requests.without(requests.deploy, "/app/owner"), "/app/secondaryOwner", ["a"])
	_places(request) == {["app", "owner"], ["app", "secondaryOwner"]}
}

test_facts_change_nothing_about_owners if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
