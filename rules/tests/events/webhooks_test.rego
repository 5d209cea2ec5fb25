package tests.events.webhooks_test

import data.platform.rules.events.webhooks
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in webhooks.deny} with input as request
}

_url := ["app", "events", "subscribes", 0, "deliver", "url"]

test_signed_webhooks_with_declared_secrets_pass if {
	_places(requests.deploy_with_events) == set()
}

test_a_scheme_that_cannot_be_verified_is_refused if {
	place := ["app", "events", "webhooks", 0, "scheme"]
	_places(requests.changed(requests.deploy_with_events, "/app/events/webhooks/0/scheme", "none")) == {place}
	_places(requests.without(requests.deploy_with_events, "/app/events/webhooks/0/scheme")) == {place}
}

test_a_secret_that_the_app_does_not_declare_is_refused_both_ways if {
	places := {["app", "events", "webhooks", 0, "signedWith"], ["app", "events", "subscribes", 0, "deliver", "signedWith"]}
	_places(requests.changed(requests.deploy_with_events, "/app/secrets", [])) == places
	_places(requests.without(requests.deploy_with_events, "/app/events/webhooks/0/signedWith")) == {["app", "events", "webhooks", 0, "signedWith"]}
}

test_an_address_that_belongs_to_no_connector_of_the_app_is_refused if {
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/url/host", "collect.evil.example")) == {_url}
	_places(requests.without(requests.deploy_with_events, "/app/connectors/1")) == {_url}
	_places(requests.changed(requests.deploy_with_events, "/facts/connectors", [])) == {_url}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/index", 1)) == {_url}
}

test_an_address_that_is_not_plain_https_is_refused if {
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/url/scheme", "http")) == {_url}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/url/valid", false)) == {_url}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/url/has_userinfo", true)) == {_url}
	_places(requests.without(requests.deploy_with_events, "/facts/events/subscriptions/0/url/has_userinfo")) == {_url}
}

test_an_app_that_fetches_its_events_needs_no_address if {
	fetched := requests.without(requests.deploy_with_events, "/app/events/subscribes/0/deliver")
	_places(requests.without(fetched, "/facts/events/subscriptions/0/url")) == set()
}

test_an_app_that_reads_the_stream_needs_no_address_and_may_not_hide_one_behind_it if {
	streamed := requests.changed(requests.deploy_with_events, "/app/events/subscribes/0/deliver", {"via": "stream"})
	_places(requests.without(streamed, "/facts/events/subscriptions/0/url")) == set()
	_places(requests.changed(streamed, "/app/events/subscribes/0/deliver", {"via": "carrier pigeon"})) == {["app", "events", "subscribes", 0, "deliver", "signedWith"]}
	both := requests.changed(streamed, "/app/events/subscribes/0/deliver", {"via": "stream", "url": "https://evil.example/", "signedWith": "recommender-key"})
	_places(requests.changed(both, "/facts/events/subscriptions/0/url/host", "evil.example")) == {_url}
}

_with_certificate(name) := object.union(
	requests.changed(requests.deploy_with_events, "/app/events/subscribes/0/deliver", {
		"url": "https://api.recommender.example.com/v2/recommendations/menu",
		"signedWith": "recommender-key",
		"certificate": name,
	}),
	{"app": {"secrets": [{"name": "recommender-key"}, {"name": "recommender-client"}]}},
)

_certificate := ["app", "events", "subscribes", 0, "deliver", "certificate"]

test_a_client_certificate_is_a_declared_secret if {
	_places(_with_certificate("recommender-client")) == set()
	_places(_with_certificate("somebody-elses")) == {_certificate}
	_places(_with_certificate("")) == {_certificate}
	_places(_with_certificate(7)) == {_certificate}
}

test_no_facts_means_no_address_is_known if {
	_places(requests.without(requests.deploy_with_events, "/facts")) == {_url}
}
