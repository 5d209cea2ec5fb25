package tests.connectors.combination_test

import data.platform.rules.connectors.combination
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in combination.deny} with input as request
}

_meet(policy) := {[
	["app", "connectors", 1, "name"],
	sprintf("The policy %q does not let the connectors \"hris\" and \"recommender\" meet in one app.", [policy]),
]}

_in_hr := requests.changed(requests.deploy, "/facts/tenant/business_area", "hr")

test_connectors_of_one_group_meet if {
	_found(requests.deploy) == set()
}

test_in_an_area_with_a_stricter_policy_they_do_not if {
	_found(_in_hr) == _meet("personnel")
}

test_one_alone_meets_nobody if {
	_found(requests.without(_in_hr, "/app/connectors/1")) == set()
	_found(requests.changed(_in_hr, "/app/connectors/1/name", "hris")) == set()
}

test_one_that_no_group_has_meets_no_other if {
	other := requests.changed(requests.deploy, "/facts/connectors/1/name", "brand-new")
	{v | some v in _found(requests.changed(other, "/app/connectors/1/name", "brand-new"))} == {[
		["app", "connectors", 1, "name"],
		"The policy \"company\" does not let the connectors \"hris\" and \"brand-new\" meet in one app.",
	]}
}

test_what_is_not_registered_is_refused_elsewhere if {
	_found(requests.without(_in_hr, "/facts/connectors")) == set()
	_found(requests.without(_in_hr, "/facts")) == set()
}

_many(request, extra) := object.union(request, {"app": {"connectors": array.concat(request.app.connectors, [{"name": "hris"} | some _ in numbers.range(1, extra)])}})

test_an_app_has_as_many_as_its_area_gives_it if {
	_found(_many(requests.deploy, 4)) == set()
	_found(_many(requests.deploy, 5)) == {[["app", "connectors"], "The app has 7 connectors; its business area gives one app 6."]}
	elsewhere := requests.changed(requests.deploy, "/facts/tenant/business_area", "sales")
	_found(_many(elsewhere, 3)) == set()
	_found(_many(elsewhere, 4)) == {[["app", "connectors"], "The app has 6 connectors; its business area gives one app 5."]}
}

test_one_that_is_named_twice_does_not_meet_itself if {
	other := requests.changed(requests.deploy, "/facts/connectors/1/name", "brand-new")
	twice := requests.changed(requests.changed(other, "/app/connectors/1/name", "brand-new"), "/app/connectors/0/name", "brand-new")
	_found(twice) == set()
}
