package tests.egress.plain_hosts_test

import data.platform.rules.egress.plain_hosts
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in plain_hosts.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in plain_hosts.deny} with input as request
}

test_full_host_names_pass if {
	_places(requests.deploy) == set()
}

test_a_wildcard_is_refused_and_removed if {
	_places(requests.changed(requests.deploy, "/app/egress", ["*.example.com"])) == {["app", "egress", 0]}
	_fixes(requests.changed(requests.deploy, "/app/egress", ["*.example.com"])) == {[{"op": "remove", "path": ["app", "egress", 0]}]}
}

test_an_IP_address_is_refused if {
	request := requests.changed(requests.deploy, "/app/egress", ["10.0.0.7", "169.254.169.254", "::1"])
	_places(request) == {["app", "egress", 0], ["app", "egress", 1], ["app", "egress", 2]}
}

test_a_name_of_an_internal_network_is_refused if {
	request := requests.changed(requests.deploy, "/app/egress", ["db.internal", "printer.local", "localhost"])
	_places(request) == {["app", "egress", 0], ["app", "egress", 1], ["app", "egress", 2]}
}

test_a_scheme_or_a_port_is_refused if {
	request := requests.changed(requests.deploy, "/app/egress", ["https://api.example.com", "api.example.com:443"])
	_places(request) == {["app", "egress", 0], ["app", "egress", 1]}
}

test_an_entry_that_is_no_text_is_refused if {
	_places(requests.changed(requests.template, "/app/egress", [null])) == {["app", "egress", 0]}
}

test_a_missing_list_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/app/egress")) == set()
}

test_facts_change_nothing_about_how_a_host_is_written if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
