package tests.audience.widening_test

import data.platform.rules.audience.widening
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in widening.deny} with input as request
}

test_a_narrow_audience_needs_no_approval if {
	_places(requests.deploy) == set()
}

test_a_department_needs_none_either if {
	_places(requests.publish) == set()
}

test_a_whole_tenant_waits_for_an_approval if {
	request := requests.changed(requests.publish, "/resource/change/audience", "tenant")
	_places(request) == {["resource", "change", "audience"]}
}

test_a_deploy_waits_as_well if {
	_places(requests.changed(requests.deploy, "/app/audience", "company")) == {["app", "audience"]}
}

test_an_approval_of_the_compliance_team_is_enough if {
	request := requests.approved_by(requests.changed(requests.publish, "/resource/change/audience", "public"), "officer@example.com", "compliance")
	_places(request) == set()
}

test_an_own_approval_does_not_count if {
	request := requests.approved_by(requests.changed(requests.publish, "/resource/change/audience", "public"), "lead@example.com", "compliance")
	_places(request) == {["resource", "change", "audience"]}
}

test_an_approval_without_a_name_does_not_count if {
	request := requests.approved_by(requests.changed(requests.publish, "/resource/change/audience", "public"), "", "compliance")
	_places(request) == {["resource", "change", "audience"]}
}

test_an_approval_does_not_count_when_nobody_knows_who_asks if {
	request := requests.without(requests.approved_by(requests.changed(requests.publish, "/resource/change/audience", "public"), "officer@example.com", "compliance"), "/subject")
	_places(request) == {["resource", "change", "audience"]}
}

test_an_audience_that_was_agreed_to_before_needs_no_new_approval if {
	request := requests.changed(requests.changed(requests.publish, "/resource/change/audience", "tenant"), "/facts/app/spec/audience", "company")
	_places(request) == set()
}

test_no_facts_means_nobody_agreed if {
	request := requests.without(requests.changed(requests.deploy, "/app/audience", "tenant"), "/facts")
	_places(request) == {["app", "audience"]}
}

test_the_audience_that_was_agreed_to_before_needs_no_new_approval if {
	request := requests.changed(requests.changed(requests.publish, "/resource/change/audience", "tenant"), "/facts/app/spec/audience", "tenant")
	_places(request) == set()
}

test_an_app_without_an_allowed_deploy_was_never_agreed_to if {
	request := requests.changed(requests.changed(requests.changed(requests.publish, "/resource/change/audience", "tenant"), "/facts/app/spec/audience", "company"), "/facts/app/known", false)
	_places(request) == {["resource", "change", "audience"]}
}

test_a_step_of_another_kind_has_no_audience if {
	_places(requests.changed(requests.lifecycle, "/app/audience", "public")) == set()
}
