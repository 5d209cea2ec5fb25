package tests.registry.connector_hosts_test

import data.platform.rules.registry.connector_hosts
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in connector_hosts.deny} with input as request
}

test_a_waiver_has_no_hosts if {
	_places(requests.registry_entry) == set()
}

test_a_public_host_passes if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com"]}})) == set()
}

test_a_wildcard_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com", "*.example.com"]}})) == {["resource", "spec", "hosts", 1]}
}

test_an_address_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com", "10.0.0.1"]}})) == {["resource", "spec", "hosts", 1]}
}

test_a_name_of_the_own_network_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com", "db.internal"]}})) == {["resource", "spec", "hosts", 1]}
}

test_a_scheme_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com", "https://api.example.com"]}})) == {["resource", "spec", "hosts", 1]}
}

test_a_host_that_is_no_text_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": ["api.example.com", 7]}})) == {["resource", "spec", "hosts", 1]}
}

test_no_host_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector", "spec": {"hosts": []}})) == {["resource", "spec", "hosts"]}
}

test_no_spec_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource", {"kind": "Connector"})) == {["resource", "spec", "hosts"]}
}

test_facts_change_nothing_about_a_host if {
	_places(requests.without(requests.registry_entry, "/facts")) == set()
}
