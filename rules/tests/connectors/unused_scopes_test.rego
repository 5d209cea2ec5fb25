package tests.connectors.unused_scopes_test

import data.platform.rules.connectors.unused_scopes
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in unused_scopes.deny} with input as request
}

# The good requests are of 2026-11-24.
_deploy(since, row) := requests.extended(requests.deploy, "/facts/scope_use", {"looked_since": since, "scopes": [object.union(
	{"connector": "hris", "scope": "employees:read", "asked_since": "2026-09-01T09:00:00Z", "last_used": ""},
	row,
)]})

_finding := {[
	["app", "connectors", 0, "scopes", 0],
	"The app has not used the scope \"employees:read\" of the connector \"hris\" for 30 days.",
]}

_long_ago := "2026-10-24T09:00:00Z"

test_a_scope_that_no_call_used_is_a_finding if {
	_found(_deploy(_long_ago, {})) == _finding
}

test_one_that_was_used_long_ago_is_a_finding if {
	_found(_deploy(_long_ago, {"last_used": "2026-10-25T09:00:00Z"})) == _finding
}

test_one_that_was_used_within_the_period_is_none if {
	_found(_deploy(_long_ago, {"last_used": "2026-10-25T09:00:01Z"})) == set()
}

test_one_that_is_new_is_none if {
	_found(_deploy(_long_ago, {"asked_since": "2026-10-25T09:00:01Z"})) == set()
}

test_what_was_not_looked_at_is_none if {
	_found(_deploy("2026-10-25T09:00:01Z", {})) == set()
}

test_another_scope_s_use_says_nothing if {
	_found(_deploy(_long_ago, {"scope": "employees:write"})) == set()
	_found(_deploy(_long_ago, {"connector": "slack"})) == set()
}

test_without_facts_nothing_is_found_unused if {
	_found(requests.deploy) == set()
	_found(requests.without(requests.deploy, "/facts")) == set()
}

test_the_period_ends_with_the_whole_day if {
	_found(_deploy("2026-10-25T09:00:00Z", {"asked_since": "2026-10-25T09:00:00Z"})) == _finding
}
