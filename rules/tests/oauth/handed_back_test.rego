package tests.oauth.handed_back_test

import data.platform.rules.oauth.handed_back
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in handed_back.deny} with input as request
}

_here := {["resource", "connector"]}

test_an_approved_vendor_is_told if {
	_places(requests.revocation) == set()
}

test_one_that_is_not_approved_is_not if {
	_places(requests.without(requests.revocation, "/facts/connectors/0/approvals")) == _here
	_places(requests.changed(requests.revocation, "/facts/connectors/0/approvals/1/person", "")) == _here
}

test_nor_is_one_that_nobody_knows if {
	_places(requests.changed(requests.revocation, "/resource/connector", "ftp-dump")) == _here
	_places(requests.without(requests.revocation, "/resource/connector")) == _here
}

test_the_approval_of_another_connector_is_not_this_ones if {
	_places(requests.without(requests.revocation, "/facts/connectors/0")) == _here
}

test_a_retired_one_is_told_all_the_same if {
	_places(requests.changed(requests.revocation, "/facts/connectors/0/state", "retired")) == set()
}

test_without_facts_nobody_is_told if {
	_places(requests.without(requests.revocation, "/facts")) == _here
}
