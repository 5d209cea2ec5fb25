package tests.oauth.within_template_test

import data.platform.rules.oauth.within_template
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in within_template.deny} with input as request
}

_fixes(request) := fixes if {
	fixes := {v.fix | some v in within_template.deny} with input as request
}

test_the_template_s_scopes_pass if {
	_places(requests.deploy) == set()
}

test_a_scope_beyond_the_template_is_refused_and_narrowed_to_its_only_one if {
	request := requests.changed(requests.deploy, "/app/connectors/0/scopes", ["employees:write"])
	_places(request) == {["app", "connectors", 0, "scopes", 0]}
	_fixes(request) == {[{"op": "replace", "path": ["app", "connectors", 0, "scopes", 0], "value": "employees:read"}]}
}

test_where_the_template_gives_several_nothing_is_proposed if {
	request := requests.changed(requests.changed(requests.deploy, "/app/connectors/0/scopes", ["x"]), "/facts/template/spec/connectors/0/scopes", ["a", "b"])
	_places(request) == {["app", "connectors", 0, "scopes", 0]}
	_fixes(request) == set()
}

test_a_part_of_the_template_s_scopes_passes if {
	request := requests.changed(requests.deploy, "/facts/template/spec/connectors/0/scopes", ["employees:read", "employees:list"])
	_places(request) == set()
}

test_an_unknown_template_gives_nothing if {
	_places(requests.changed(requests.deploy, "/facts/template/known", false)) == {["app", "connectors", 0, "scopes", 0], ["app", "connectors", 1, "scopes", 0]}
}

test_no_facts_means_the_template_gives_nothing if {
	_places(requests.without(requests.deploy, "/facts")) == {["app", "connectors", 0, "scopes", 0], ["app", "connectors", 1, "scopes", 0]}
}
