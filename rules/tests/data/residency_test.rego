package tests.data.residency_test

import data.platform.rules.data.residency
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in residency.deny} with input as request
}

test_the_tenant_s_region_passes if {
	_places(requests.deploy) == set()
}

test_a_region_that_the_tenant_did_not_choose_is_refused if {
	_places(requests.changed(requests.deploy, "/app/data/residency", ["eu", "us"])) == {["app", "data", "residency", 1]}
}

test_a_template_may_name_any_region_of_the_platform if {
	_places(requests.changed(requests.template, "/app/data/residency", ["us"])) == set()
}

test_a_region_that_the_platform_does_not_offer_is_refused if {
	_places(requests.changed(requests.template, "/app/data/residency", ["mars"])) == {["app", "data", "residency", 0]}
}

test_a_region_that_only_the_tenant_knows_is_refused if {
	request := requests.changed(requests.changed(requests.deploy, "/app/data/residency", ["mars"]), "/facts/tenant/regions", ["mars"])
	_places(request) == {["app", "data", "residency", 0]}
}

test_no_region_at_all_is_refused if {
	_places(requests.without(requests.deploy, "/app/data/residency")) == {["app", "data", "residency"]}
}

test_an_empty_list_of_regions_is_refused if {
	_places(requests.changed(requests.deploy, "/app/data/residency", [])) == {["app", "data", "residency"]}
}

test_no_facts_means_no_region_is_allowed if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "data", "residency", 0]}
}
