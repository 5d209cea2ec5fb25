package tests.secrets.credential_test

import data.platform.rules.secrets.credential
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, object.get(v, "effect", "deny")] | some v in credential.deny} with input as request
}

_broker(fact) := requests.extended(requests.changed(requests.connector_call, "/context", {"enforcement_point": "broker"}), "/facts/credential", fact)

test_a_young_credential_passes if {
	_found(_broker({"known": true, "age_days": 30})) == set()
}

test_a_connector_that_needs_none_passes if {
	_found(_broker({"known": true})) == set()
}

test_an_old_credential_is_named if {
	_found(_broker({"known": true, "age_days": 31})) == {[["resource", "connector"], "warn"]}
	_found(_broker({"known": true, "age_days": null})) == {[["resource", "connector"], "warn"]}
}

test_without_a_credential_nothing_goes_out if {
	_found(_broker({"known": false})) == {[["resource", "connector"], "deny"]}
	_found(_broker({"known": "yes"})) == {[["resource", "connector"], "deny"]}
	_found(_broker({})) == {[["resource", "connector"], "deny"]}
}

test_without_facts_a_broker_is_refused if {
	_found(requests.without(_broker({}), "/facts")) == {[["resource", "connector"], "deny"]}
}

test_where_no_broker_asks_nobody_looked if {
	_found(requests.connector_call) == set()
}
