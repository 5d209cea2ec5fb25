package tests.events.interval_test

import data.platform.rules.events.interval
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in interval.deny} with input as request
}

_cron := ["app", "events", "schedules", 0, "cron"]

test_a_schedule_that_comes_seldom_passes if {
	_places(requests.deploy_with_events) == set()
}

test_the_shortest_interval_itself_passes_and_one_second_less_does_not if {
	_places(requests.changed(requests.deploy_with_events, "/facts/events/schedules/0/shortest_s", 300)) == set()
	_places(requests.changed(requests.deploy_with_events, "/facts/events/schedules/0/shortest_s", 299)) == {_cron}
}

test_a_business_area_may_have_an_interval_of_its_own if {
	often := requests.changed(requests.deploy_with_events, "/facts/events/schedules/0/shortest_s", 60)
	_places(requests.changed(often, "/facts/tenant/business_area", "platform")) == set()
	_places(requests.changed(often, "/facts/tenant/business_area", "elsewhere")) == {_cron}
}

test_an_interval_that_nobody_knows_is_too_short if {
	_places(requests.without(requests.deploy_with_events, "/facts/events/schedules/0/shortest_s")) == {_cron}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/schedules/0/shortest_s", "day")) == {_cron}
	_places(requests.changed(requests.deploy_with_events, "/facts/events/schedules/0/index", 1)) == {_cron}
	_places(requests.without(requests.deploy_with_events, "/facts")) == {_cron}
}
