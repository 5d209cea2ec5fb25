package tests.oauth.consent_given_test

import data.platform.rules.oauth.consent_given
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in consent_given.deny} with input as request
}

_places(request) := {place | some [place, _] in _found(request)}

_here := {["resource", "consent"]}

_with(member, value) := requests.changed(requests.call_for_person, concat("/", ["/facts/consent", member]), value)

test_a_call_with_the_person_s_consent_passes if {
	_found(requests.call_for_person) == set()
}

test_a_connector_that_acts_for_itself_needs_none if {
	_found(requests.connector_call) == set()
}

test_a_consent_that_is_named_has_to_hold_all_the_same if {
	_places(requests.extended(requests.connector_call, "/resource/consent", "0199-made-up")) == _here | {["resource", "scopes", 0]}
}

test_a_call_that_names_none_is_refused if {
	_places(requests.without(requests.call_for_person, "/resource/consent")) == _here
}

test_a_call_that_names_another_is_refused if {
	_places(requests.changed(requests.call_for_person, "/resource/consent", "0199-other")) == _here
}

test_one_that_nobody_knows_is_refused if {
	_places(_with("known", false)) == _here
	_places(_with("known", "yes")) == _here
}

test_of_one_that_nobody_knows_nothing_more_is_said if {
	unknown := {"known": false, "id": "0199-given", "app": "lunch", "tenant": "hr", "connector": "hris", "scopes": ["employees:read"]}
	request := requests.changed(requests.call_for_person, "/facts/consent", unknown)
	_found(request) == {[["resource", "consent"], "No consent of a person is known for this call."]}
}

test_a_consent_to_another_app_tenant_or_connector_is_refused if {
	wanted := {[["resource", "consent"], "The consent was given to another app, tenant or connector."]}
	_found(_with("app", "lunch")) == wanted
	_found(_with("tenant", "hr")) == wanted
	_found(_with("connector", "recommender")) == wanted
}

test_a_consent_without_an_owner_is_not_known if {
	_places(requests.without(requests.call_for_person, "/facts/consent/app")) == _here
	_places(requests.without(requests.call_for_person, "/facts/consent/tenant")) == _here
	_places(requests.without(requests.call_for_person, "/facts/consent/connector")) == _here
}

test_a_withdrawn_or_unfinished_consent_is_refused if {
	some state in ["withdrawn", "asked", "", null]
	_found(_with("state", state)) == {[["resource", "consent"], "The consent is not in force: it was withdrawn, or never completed."]}
}

test_a_consent_that_is_over_is_refused if {
	_found(_with("expires_at", "2026-11-24T09:00:00Z")) == {[["resource", "consent"], "The consent is over."]}
	_found(_with("expires_at", "soon")) == {[["resource", "consent"], "The consent is over."]}
}

test_a_scope_that_came_later_is_not_covered if {
	request := requests.changed(requests.call_for_person, "/resource/scopes", ["employees:read", "employees:write"])
	_places(request) == {["resource", "scopes", 1]}
}

test_another_purpose_needs_another_consent if {
	wanted := {[["resource", "consent"], "The app uses the data for another purpose than the person consented to."]}
	_found(_with("purpose", "Advertising.")) == wanted
	_found(requests.changed(requests.call_for_person, "/app/connectors/0/purpose", "Advertising to everybody.")) == wanted
	_found(_with("purpose", "Restaurants that suit the preferences of a group.")) == wanted
}

test_no_facts_means_no_consent if {
	_places(requests.without(requests.call_for_person, "/facts")) == _here | {["resource", "scopes", 0]}
	_places(requests.without(requests.connector_call, "/facts")) == _here | {["resource", "scopes", 0]}
}

test_an_entry_that_does_not_say_acts_for_a_person if {
	_places(requests.without(requests.connector_call, "/facts/connectors/0/acts_for_person")) == _here | {["resource", "scopes", 0]}
}

_answer := requests.extended(
	requests.extended(requests.answer, "/context/consent", "0199-given"),
	"/facts/consent", requests.call_for_person.facts.consent,
)

_there := {["context", "consent"]}

test_an_answer_stands_on_the_consent_of_its_call if {
	_found(_answer) == set()
	_found(requests.answer) == set()
}

test_an_answer_to_a_call_whose_consent_has_ended_is_refused if {
	_found(requests.changed(_answer, "/facts/consent/state", "withdrawn")) == {[
		["context", "consent"],
		"The consent is not in force: it was withdrawn, or never completed.",
	]}
	_places(requests.changed(_answer, "/facts/consent/expires_at", "2026-01-01T00:00:00Z")) == _there
}

test_an_answer_of_another_connector_or_consent_is_refused if {
	_places(requests.changed(_answer, "/facts/consent/connector", "recommender")) == _there
	_places(requests.changed(_answer, "/context/consent", "0199-other")) == _there
	_places(requests.without(_answer, "/facts/consent")) == _there
}
