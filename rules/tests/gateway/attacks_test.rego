package tests.gateway.attacks_test

import data.platform.rules.gateway.attacks
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in attacks.deny} with input as request
}

_public := requests.changed(requests.app_call, "/app/audience", "public")

test_a_harmless_request_passes if {
	_places(_public) == set()
}

test_below_the_score_passes_and_at_it_does_not if {
	_places(requests.changed(_public, "/facts/attack/score", 4)) == set()
	_places(requests.changed(_public, "/facts/attack/score", 5)) == {["resource"]}
}

test_the_rules_that_matched_are_named if {
	found := {v.message | some v in attacks.deny} with input as requests.changed(
		_public,
		"/facts/attack", {"score": 10, "rules": ["942100", "942190"]},
	)
	found == {"The request looks like an attack, or nobody looked at it; rules: 942100, 942190."}
}

test_where_nobody_looked_nothing_passes if {
	_places(requests.without(_public, "/facts/attack")) == {["resource"]}
	_places(requests.changed(_public, "/facts/attack/score", null)) == {["resource"]}
	_places(requests.without(_public, "/facts")) == {["resource"]}
}

test_an_audience_that_is_not_looked_at_passes if {
	_places(requests.without(requests.app_call, "/facts/attack")) == set()
}

test_an_audience_that_nobody_knows_is_looked_at if {
	unknown := requests.changed(requests.app_call, "/app/audience", "everybody")
	_places(requests.without(unknown, "/facts/attack")) == {["resource"]}
}
