package tests.gateway.audience_test

import data.platform.rules.gateway.audience
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in audience.deny} with input as request
}

_with_audience(name) := requests.changed(requests.app_call, "/app/audience", name)

test_a_person_of_the_tenant_comes_in if {
	_places(requests.app_call) == set()
}

test_a_person_of_another_tenant_does_not if {
	_places(requests.changed(requests.app_call, "/subject/tenant", "sales")) == {["subject"]}
}

test_the_company_s_apps_take_every_tenant_but_nobody_without_one if {
	_places(requests.changed(_with_audience("company"), "/subject/tenant", "sales")) == set()
	_places(requests.without(_with_audience("company"), "/subject/tenant")) == {["subject"]}
}

test_a_role_that_the_audience_does_not_name_stays_out if {
	_places(requests.changed(requests.app_call, "/subject/role", "auditor")) == {["subject"]}
	_places(requests.without(requests.app_call, "/subject/role")) == {["subject"]}
}

test_a_public_app_takes_who_shows_nothing if {
	_places(requests.changed(_with_audience("public"), "/subject", {"id": ""})) == set()
}

test_an_audience_that_nobody_knows_admits_nobody if {
	_places(_with_audience("everybody")) == {["subject"]}
	_places(requests.without(requests.app_call, "/app")) == {["subject"]}
}
