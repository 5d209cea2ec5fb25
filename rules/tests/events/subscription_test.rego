package tests.events.subscription_test

import data.platform.rules.events.subscription
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in subscription.deny} with input as request
}

_place := ["app", "events", "subscribes", 0]

test_events_that_another_tenant_shares_may_be_subscribed_to if {
	_places(requests.deploy_with_events) == set()
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/shared_with", ["*"])) == set()
}

test_events_of_the_own_tenant_may_be_subscribed_to if {
	own := requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/tenant", "marketing")
	_places(requests.changed(own, "/facts/events/subscriptions/0/shared_with", [])) == set()
}

test_events_of_another_tenant_that_shares_them_with_others_are_refused if {
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/shared_with", ["hr"])) == {_place}
	_places(requests.without(requests.deploy_with_events, "/facts/events/subscriptions/0/shared_with")) == {_place}
}

test_an_app_that_is_not_there_or_no_longer_active_is_refused if {
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/known", false)) == {_place}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/state", "archived")) == {_place}
}

test_two_that_belong_to_nobody_are_not_of_one_tenant if {
	nobody := requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/tenant", "")
	_places(requests.changed(nobody, "/tenant", "")) == {_place}
	_places(nobody) == {_place}
}

test_no_facts_means_nothing_is_open if {
	_places(requests.without(requests.deploy_with_events, "/facts")) == {_place}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/index", 1)) == {_place}
}
