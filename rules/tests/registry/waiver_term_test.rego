package tests.registry.waiver_term_test

import data.platform.rules.registry.waiver_term
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in waiver_term.deny} with input as request
}

test_a_few_weeks_pass if {
	_places(requests.registry_entry) == set()
}

test_the_longest_term_passes if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/expires", "2027-05-23T09:00:00Z")) == set()
}

test_a_second_more_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/expires", "2027-05-23T09:00:01Z")) == {["resource", "spec", "expires"]}
}

test_the_past_is_refused if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/expires", "2026-11-24T08:59:59Z")) == {["resource", "spec", "expires"]}
}

test_this_very_instant_is_over if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/expires", "2026-11-24T09:00:00Z")) == {["resource", "spec", "expires"]}
}

test_a_day_is_no_instant if {
	_places(requests.changed(requests.registry_entry, "/resource/spec/expires", "2027-01-31")) == {["resource", "spec", "expires"]}
}

test_without_a_clock_nothing_is_ahead if {
	_places(requests.without(requests.registry_entry, "/now")) == {["resource", "spec", "expires"]}
}

test_a_tenant_does_not_end if {
	_places(requests.changed(requests.without(requests.registry_entry, "/resource/spec/expires"), "/resource/kind", "Tenant")) == set()
}

test_facts_change_nothing_about_a_term if {
	_places(requests.without(requests.registry_entry, "/facts")) == set()
}
