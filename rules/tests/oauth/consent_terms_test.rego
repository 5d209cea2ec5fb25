package tests.oauth.consent_terms_test

import data.platform.rules.oauth.consent_terms
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in consent_terms.deny} with input as request
}

_with(member, value) := requests.changed(requests.consent, concat("/", ["/resource", member]), value)

test_what_the_manifest_says_may_be_asked if {
	_places(requests.consent) == set()
}

test_a_consent_to_nothing_is_none if {
	_places(_with("scopes", [])) == {["resource", "scopes"]}
	_places(_with("scopes", "employees:read")) == {["resource", "scopes"]}
}

test_the_purpose_is_the_manifest_s_for_this_connector if {
	_places(_with("purpose", "Advertising.")) == {["resource", "purpose"]}
	_places(_with("purpose", "Restaurants that suit the preferences of a group.")) == {["resource", "purpose"]}
	_places(requests.without(requests.consent, "/resource/purpose")) == {["resource", "purpose"]}
}

test_it_lasts_ninety_days_and_not_a_moment_longer if {
	_places(_with("expires_at", "2027-02-22T09:00:00Z")) == set()
	_places(_with("expires_at", "2027-02-22T09:00:00.001Z")) == {["resource", "expires_at"]}
}

test_it_does_not_begin_after_its_end if {
	_places(_with("expires_at", "2026-11-24T09:00:00Z")) == {["resource", "expires_at"]}
	_places(_with("expires_at", null)) == {["resource", "expires_at"]}
	_places(requests.without(requests.consent, "/now")) == {["resource", "expires_at"]}
}

test_where_nobody_acts_for_a_person_nobody_is_asked if {
	_places(requests.changed(requests.consent, "/facts/connectors/0/acts_for_person", false)) == {["resource", "connector"]}
}

test_no_facts_means_nothing_may_be_asked if {
	_places(requests.without(requests.consent, "/facts")) == {["resource", "connector"]}
}
