package tests.connectors.agreed_test

import data.platform.rules.connectors.agreed
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in agreed.deny} with input as request
}

_said(request) := messages if {
	messages := {v.message | some v in agreed.deny} with input as request
}

_hris := ["app", "connectors", 0, "name"]

test_connectors_that_both_agreed_to_pass if {
	_places(requests.deploy) == set()
	_places(requests.connector_call) == set()
	_places(requests.consent) == set()
}

test_a_new_connector_waits_for_both if {
	request := requests.without(requests.deploy, "/facts/connectors/0/approvals")
	_places(request) == {_hris}
	_said(request) == {`The connector "hris" is registered, but not approved: it waits for its owner and compliance.`}
}

test_a_call_to_it_is_refused_as_well if {
	_places(requests.without(requests.connector_call, "/facts/connectors/0/approvals")) == {["resource", "connector"]}
}

test_data_for_it_stays_here if {
	_places(requests.without(requests.data_flow, "/facts/connectors/1/approvals")) == {["resource", "destination", "connector"]}
}

test_one_approval_is_not_enough if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/approvals", [requests.both_agreed("hr-systems@example.com")[0]])
	_said(request) == {`The connector "hris" is registered, but not approved: it waits for compliance.`}
}

test_one_person_is_not_two if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/approvals/1/person", "ana.k")
	_said(request) == {`The connector "hris" is registered, but not approved: its owner and compliance have to be two people.`}
}

test_another_teams_word_is_not_the_owners if {
	_places(requests.changed(requests.deploy, "/facts/connectors/0/approvals/0/team", "sales")) == {_hris}
}

test_nobodys_team_owns_nothing if {
	request := requests.changed(requests.changed(requests.deploy, "/facts/connectors/0/owner", ""), "/facts/connectors/0/approvals/0/team", "")
	_places(request) == {_hris}
}

test_a_role_that_may_not_approve_does_not_count if {
	_places(requests.changed(requests.deploy, "/facts/connectors/0/approvals/1/role", "platform")) == {_hris}
	_places(requests.changed(requests.deploy, "/facts/connectors/0/approvals/0/role", "service")) == {_hris}
}

test_nobody_is_no_approver if {
	_places(requests.changed(requests.deploy, "/facts/connectors/0/approvals/1/person", "")) == {_hris}
	_places(requests.without(requests.deploy, "/facts/connectors/0/approvals/0/person")) == {_hris}
}

test_two_keys_of_no_person_are_not_two_people if {
	one := requests.without(requests.deploy, "/facts/connectors/0/approvals/0/person")
	_said(requests.without(one, "/facts/connectors/0/approvals/1/person")) == {`The connector "hris" is registered, but not approved: it waits for its owner and compliance.`}
}

test_what_was_taken_back_is_named_as_such if {
	half := requests.changed(requests.deploy, "/facts/connectors/0/approvals", [requests.both_agreed("hr-systems@example.com")[0]])
	request := requests.extended(half, "/facts/connectors/0/withdrawn", ["compliance"])
	_said(request) == {`The connector "hris" is registered, but not approved any longer: it waits for compliance.`}
}

test_what_comes_with_the_pack_is_taken_back_as_well if {
	bare := requests.without(requests.deploy, "/facts/connectors/0/approvals")
	shipped := requests.changed(bare, "/facts/connectors/0/digest", data.platform.connectors.shipped.hris)
	_said(requests.extended(shipped, "/facts/connectors/0/withdrawn", ["owner"])) == {`The connector "hris" is registered, but not approved any longer: it waits for its owner.`}
	_places(requests.extended(shipped, "/facts/connectors/0/withdrawn", null)) == {_hris}
}

test_two_approvals_of_two_connectors_are_none_of_one if {
	owners := requests.changed(requests.deploy, "/facts/connectors/0/approvals", [requests.both_agreed("hr-systems@example.com")[0]])
	request := requests.changed(owners, "/facts/connectors/1/approvals", [requests.both_agreed("data-science@example.com")[1]])
	_places(request) == {_hris, ["app", "connectors", 1, "name"]}
}

test_a_document_that_changed_is_named_as_such if {
	request := requests.changed(requests.without(requests.deploy, "/facts/connectors/0/approvals"), "/facts/connectors/0", {
		"name": "hris",
		"state": "approved",
		"digest": "sha256:2",
		"approved_before": true,
	})
	_said(request) == {`The connector "hris" is registered, but not approved in its present form: it waits for its owner and compliance.`}
}

test_what_comes_with_the_pack_needs_no_approval if {
	request := requests.without(requests.deploy, "/facts/connectors/0/approvals")
	_places(requests.changed(request, "/facts/connectors/0/digest", data.platform.connectors.shipped.hris)) == set()
}

test_another_shipped_document_is_not_this_one if {
	request := requests.without(requests.deploy, "/facts/connectors/0/approvals")
	_places(requests.changed(request, "/facts/connectors/0/digest", data.platform.connectors.shipped.slack)) == {_hris}
}

test_a_digest_that_is_no_text_is_not_approved if {
	request := requests.without(requests.deploy, "/facts/connectors/0/approvals")
	_places(requests.changed(request, "/facts/connectors/0/digest", null)) == {_hris}
}

test_an_unknown_connector_is_another_rules_matter if {
	request := requests.changed(requests.connector_call, "/resource/connector", "ftp-dump")
	_places(requests.changed(request, "/facts/connectors", [{"name": "ftp-dump", "state": "unknown"}])) == set()
}

test_no_facts_are_another_rules_matter if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_data_goes_to_no_address_of_it if {
	_places(requests.flow_to_url) == set()
	_places(requests.without(requests.flow_to_url, "/facts/connectors/1/approvals")) == {["resource", "destination", "url"]}
}

test_nothing_is_taken_for_its_data if {
	_places(requests.without(requests.flow_to_url, "/facts/connectors/0/approvals")) == {["resource", "source"]}
}

test_nothing_is_taken_for_its_data_that_was_never_or_is_no_longer_agreed_on if {
	proposed := requests.changed(requests.flow_to_url, "/facts/connectors/0/state", "proposed")
	_places(proposed) == set()
	_places(requests.without(proposed, "/facts/connectors/0/approvals")) == {["resource", "source"]}
	_places(requests.extended(requests.without(proposed, "/facts/connectors/0/approvals"), "/facts/connectors/0/withdrawn", [{"as": "owner"}])) == {["resource", "source"]}
}

test_an_entry_that_is_none_is_passed_by if {
	request := requests.changed(requests.connector_call, "/resource/connector", "")
	every entry in [null, 5, [], "x"] {
		_places(requests.changed(request, "/facts/connectors", [entry])) == set()
	}
}
