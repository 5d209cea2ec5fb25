package tests.events.delivery_test

import data.platform.rules.events.delivery
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in delivery.deny} with input as request
}

_subscription := ["resource", "destination", "subscription"]

_app := ["resource", "destination", "app"]

test_an_event_reaches_who_subscribed_to_it if {
	_places(requests.event_delivered) == set()
}

test_an_app_of_the_same_tenant_needs_no_sharing if {
	own := requests.changed(requests.event_delivered, "/facts/event/subscriber/tenant", "marketing")
	_places(requests.changed(own, "/facts/event/shared_with", [])) == set()
}

test_other_flows_are_no_deliveries if {
	_places(requests.data_flow) == set()
	_places(requests.answer) == set()
	_places(requests.event_published) == set()
}

test_an_app_that_did_not_subscribe_gets_nothing if {
	_places(requests.changed(requests.event_delivered, "/facts/event/subscribed", false)) == {_subscription}
	_places(requests.changed(requests.event_delivered, "/facts/event/known", false)) == {_subscription}
	_places(requests.changed(requests.event_delivered, "/resource/destination/app", "other")) == {_subscription}
}

test_an_app_that_is_not_active_gets_nothing if {
	_places(requests.changed(requests.event_delivered, "/facts/event/subscriber/state", "archived")) == {_subscription}
}

test_an_event_that_is_no_longer_published_or_shared_reaches_nobody if {
	_places(requests.changed(requests.event_delivered, "/facts/event/published", false)) == {["resource", "event"]}
	_places(requests.changed(requests.event_delivered, "/facts/event/shared_with", ["finance"])) == {["resource", "event"]}
}

test_regions_out_of_reach_are_refused if {
	_places(requests.changed(requests.event_delivered, "/facts/event/subscriber/residency", ["eu", "us"])) == {_app}
	_places(requests.changed(requests.event_delivered, "/facts/event/subscriber/residency", [])) == {_app}
	_places(requests.without(requests.event_delivered, "/app/data/residency")) == {_app}
}

test_no_facts_means_nobody_subscribed if {
	_places(requests.without(requests.event_delivered, "/facts")) == {_subscription, ["resource", "event"], _app}
	_places(requests.changed(requests.event_delivered, "/facts/event", {"known": false})) == {_subscription, ["resource", "event"], _app}
}
