package tests.oauth.least_access_test

import data.platform.rules.oauth.least_access
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in least_access.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in least_access.deny} with input as request
}

test_reading_passes if {
	_places(requests.deploy) == set()
}

test_writing_where_people_s_data_is_held_is_refused_and_narrowed if {
	request := requests.changed(requests.deploy, "/app/connectors/0/scopes", ["employees:write"])
	_places(request) == {["app", "connectors", 0, "scopes", 0]}
	_fixes(request) == {[{"op": "replace", "path": ["app", "connectors", 0, "scopes", 0], "value": "employees:read"}]}
}

test_a_template_may_not_ask_for_it_either if {
	request := requests.changed(requests.template, "/app/connectors/0/scopes", ["employees:read", "employees:write"])
	_places(request) == {["app", "connectors", 0, "scopes", 1]}
}

test_writing_where_no_people_s_data_is_held_passes if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/scopes", {"recommendations:read": "write"})
	_places(request) == set()
}

test_administering_is_refused_everywhere_and_nothing_narrower_is_made_up if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/scopes", {"recommendations:read": "admin"})
	_places(request) == {["app", "connectors", 1, "scopes", 0]}
}

test_data_of_an_unknown_class_allows_no_access if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/data_classes", ["secret"])
	_places(request) == {["app", "connectors", 1, "scopes", 0]}
}

test_a_connector_that_does_not_say_what_it_holds_allows_no_access if {
	_places(requests.without(requests.deploy, "/facts/connectors/1/data_classes")) == {["app", "connectors", 1, "scopes", 0]}
}

test_a_connector_that_says_it_holds_nothing_allows_no_access if {
	request := requests.changed(requests.deploy, "/facts/connectors/1/data_classes", [])
	_places(request) == {["app", "connectors", 1, "scopes", 0]}
}

test_without_facts_no_scope_is_known_and_that_is_refused_elsewhere if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}

test_another_connector_s_scope_of_the_same_name_does_not_count if {
	request := requests.extended(requests.deploy, "/facts/connectors/1/scopes/employees:read", "admin")
	_places(request) == set()
}

test_nothing_narrower_is_made_up if {
	request := requests.changed(requests.changed(requests.deploy, "/app/connectors/0/scopes", ["all:write"]), "/facts/connectors/0/scopes", {"all:write": "write"})
	_places(request) == {["app", "connectors", 0, "scopes", 0]}
	_fixes(request) == set()
}
