package tests.registry.connector_approval_test

import data.platform.rules.registry.connector_approval
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in connector_approval.deny} with input as request
}

_said(request) := messages if {
	messages := {v.message | some v in connector_approval.deny} with input as request
}

_as := ["context", "as"]

_by_owner := object.union(requests.registry_entry, {
	"action": "approve",
	"resource": {"kind": "Connector"},
	"context": {"as": "owner", "digest": "sha256:1"},
	"facts": {"approval": {
		"by": "key:1",
		"person": "ana.k",
		"role": "citizen",
		"team": "support",
		"owner": "support",
		"digest": "sha256:1",
		"given": [{"as": "owner", "by": "key:1", "person": "ana.k"}],
	}},
})

_by_compliance := object.union(_by_owner, {
	"context": {"as": "compliance"},
	"facts": {"approval": {"by": "key:2", "person": "ben.o", "role": "compliance", "team": ""}},
})

test_its_owner_approves_as_its_owner if _places(_by_owner) == set()

test_compliance_approves_as_compliance if _places(_by_compliance) == set()

test_to_register_is_not_to_approve if {
	_places(requests.registry_entry) == set()
	_places(requests.changed(requests.changed(_by_compliance, "/facts/approval/by", "key:1"), "/action", "register")) == set()
}

test_another_role_is_not_compliance if {
	_said(requests.changed(_by_compliance, "/facts/approval/role", "platform")) == {`Approving as "compliance" takes a role of ["compliance"]; this is "platform".`}
}

test_a_program_is_no_owner if {
	_places(requests.changed(_by_owner, "/facts/approval/role", "service")) == {_as}
}

test_another_team_is_not_the_owner if {
	_said(requests.changed(_by_owner, "/facts/approval/team", "sales")) == {`Only the owner, "support", approves as the owner; this key speaks for "sales".`}
}

test_a_connector_of_nobody_has_no_owner_to_approve_it if {
	_places(requests.changed(requests.changed(_by_owner, "/facts/approval/team", ""), "/facts/approval/owner", "")) == {_as}
}

test_nobody_approves_as_both if {
	_said(requests.changed(_by_compliance, "/facts/approval/by", "key:1")) == {`The same person has approved it as "owner" already; this takes two.`}
}

test_two_keys_of_one_person_are_one_person if {
	_said(requests.changed(_by_compliance, "/facts/approval/person", "ana.k")) == {`The same person has approved it as "owner" already; this takes two.`}
}

test_a_key_of_no_person_approves_nothing if {
	_said(requests.changed(_by_compliance, "/facts/approval/person", "")) == {"This key names no person, and two keys may be one person's: approvals are counted by people."}
	_places(requests.without(_by_owner, "/facts/approval/person")) == {_as}
}

test_approving_again_as_the_same_changes_nothing if _places(_by_owner) == set()

test_another_document_than_the_registered_is_refused if {
	_places(requests.changed(_by_owner, "/context/digest", "sha256:0")) == {["context", "digest"]}
}

test_a_document_without_a_digest_is_none if {
	request := requests.changed(requests.changed(_by_owner, "/context/digest", ""), "/facts/approval/digest", "")
	_places(request) == {["context", "digest"]}
}

test_nobody_approves_as_something_else if {
	_places(requests.changed(_by_owner, "/context/as", "friend")) == {_as}
}

test_what_a_caller_says_of_themselves_is_no_fact if {
	_places(requests.without(_by_owner, "/facts/approval")) == {_as, ["context", "digest"]}
}

test_no_facts_approve_nothing if {
	_places(requests.without(_by_owner, "/facts")) == {_as, ["context", "digest"]}
}

test_a_waiver_is_not_approved_this_way if {
	request := requests.without(requests.changed(_by_owner, "/resource", {"kind": "Waiver"}), "/facts/approval")
	_places(request) == {_as, ["context", "digest"]}
}
