package tests.events.own_secrets_test

import data.platform.rules.events.own_secrets
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in own_secrets.deny} with input as request
}

_deliver(more) := requests.changed(requests.deploy_with_events, "/app/events/subscribes/0/deliver", object.union(
	{"url": "https://api.recommender.example.com/v2/recommendations/menu", "signedWith": "recommender-key"},
	more,
))

_place(member) := ["app", "events", "subscribes", 0, "deliver", member]

test_secrets_of_the_app_pass if {
	_places(requests.deploy_with_events) == set()
	_places(_deliver({"certificate": "recommender-client"})) == set()
	_places(_deliver({"certificate": "my-certificate-of-them"})) == set()
}

test_a_connectors_certificate_is_no_apps if {
	_places(_deliver({"certificate": "certificate-hris"})) == {_place("certificate")}
	_places(_deliver({"signedWith": "certificate-hris"})) == {_place("signedWith")}
}

test_what_a_person_consented_to_signs_nothing if {
	_places(_deliver({"signedWith": "consent-0199"})) == {_place("signedWith")}
	_places(requests.changed(requests.deploy_with_events, "/app/events/webhooks/0/signedWith", "consent-0199")) == {["app", "events", "webhooks", 0, "signedWith"]}
}

test_a_name_that_is_no_text_is_another_rules_matter if {
	_places(_deliver({"certificate": 7})) == set()
}

test_facts_change_nothing_about_a_name if {
	_places(requests.without(_deliver({"certificate": "certificate-hris"}), "/facts")) == {_place("certificate")}
}
