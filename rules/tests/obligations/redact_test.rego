package tests.obligations.redact_test

import data.platform.obligations.redact
import data.tests.lib.requests

_values(request) := values if {
	values := redact.oblige with input as request
}

_all := {"email", "phone", "iban", "card", "ssn"}

_for(audience, classes) := requests.changed(requests.changed(requests.app_call, "/app/audience", audience), "/app/data/classes", classes)

test_a_team_s_app_is_sent_what_its_callers_send if {
	_values(requests.app_call) == set()
	_values(_for("team", [])) == set()
}

test_an_app_for_everybody_is_sent_what_it_declares if {
	_values(_for("public", [])) == _all
	_values(_for("public", ["personal"])) == {"iban", "card", "ssn"}
	_values(_for("public", ["personal", "financial", "special"])) == set()
	_values(_for("company", ["financial"])) == {"email", "phone", "ssn"}
}

test_an_audience_that_nobody_knows_is_sent_nothing if {
	_values(_for("everybody", ["personal"])) == _all
	_values(requests.without(requests.app_call, "/app")) == _all
	_values(_for("public", "personal")) == _all
}
