package tests.registry.connector_withdrawal_test

import data.platform.rules.registry.connector_withdrawal
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in connector_withdrawal.deny} with input as request
}

_as := {["context", "as"]}

_asked(members) := object.union(requests.approval_taken_back, {"facts": {"approval": members}})

test_another_of_compliance_takes_compliance_s_back if _places(requests.approval_taken_back) == set()

test_who_gave_it_takes_it_back_whatever_they_are_now if {
	_places(_asked({"by": "key:officer", "role": "citizen"})) == set()
}

test_compliance_does_not_speak_for_the_owner if {
	_places(requests.changed(requests.approval_taken_back, "/context/as", "owner")) == _as
}

test_an_owner_takes_back_their_own_only if {
	owners := requests.changed(_asked({"role": "platform", "team": "hr-systems@example.com"}), "/context/as", "owner")
	_places(owners) == set()
	_places(requests.changed(owners, "/facts/approval/team", "sales")) == _as
	_places(requests.changed(owners, "/facts/approval/role", "service")) == _as
}

test_who_gave_another_part_does_not_take_this_one_back if {
	request := requests.changed(_asked({"by": "key:officer", "role": "citizen"}), "/context/as", "owner")
	_places(request) == _as
}

test_nobody_takes_back_as_nobody if {
	_places(requests.changed(requests.approval_taken_back, "/context/as", "")) == _as
	nobody := _asked({"by": "", "role": "citizen", "given": [{"as": "compliance", "by": ""}]})
	_places(nobody) == _as
}

test_no_facts_take_nothing_back if {
	_places(requests.without(requests.approval_taken_back, "/facts")) == _as
}

test_handing_a_token_back_is_another_question if _places(requests.without(requests.revocation, "/facts")) == set()
