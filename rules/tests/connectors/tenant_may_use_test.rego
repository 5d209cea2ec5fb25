package tests.connectors.tenant_may_use_test

import data.platform.rules.connectors.tenant_may_use
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in tenant_may_use.deny} with input as request
}

test_connectors_open_to_the_tenant_pass if {
	_places(requests.deploy) == set()
}

test_a_connector_that_is_not_open_to_the_tenant_is_refused if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/tenants", ["hr"])
	_places(request) == {["app", "connectors", 0, "name"]}
}

test_a_connector_that_the_tenant_does_not_have_is_refused if {
	request := requests.changed(requests.deploy, "/facts/tenant/connectors", ["hris"])
	_places(request) == {["app", "connectors", 1, "name"]}
}

test_a_call_is_held_to_the_same if {
	request := requests.changed(requests.connector_call, "/facts/connectors/0/tenants", [])
	_places(request) == {["resource", "connector"]}
}

test_a_flow_is_held_to_the_same if {
	_places(requests.changed(requests.data_flow, "/facts/tenant/connectors", [])) == {["resource", "destination", "connector"]}
}

test_no_facts_means_nothing_is_open if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_an_unknown_tenant_has_no_connectors if {
	_places(requests.without(requests.deploy, "/facts/tenant")) == {["app", "connectors", 0, "name"], ["app", "connectors", 1, "name"]}
}

test_the_star_opens_a_connector_to_every_tenant_that_has_it if {
	request := requests.changed(requests.deploy, "/facts/connectors/0/tenants", ["*"])
	_places(request) == set()
}

test_a_flow_to_its_address_is_refused_as_one_to_its_name_is if {
	_places(requests.flow_to_url) == set()
	_places(requests.changed(requests.flow_to_url, "/facts/tenant/connectors", ["hris"])) == {["resource", "destination", "url"]}
	_places(requests.changed(requests.flow_to_url, "/facts/connectors/1/tenants", ["hr"])) == {["resource", "destination", "url"]}
}
