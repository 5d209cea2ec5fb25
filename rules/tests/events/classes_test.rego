package tests.events.classes_test

import data.platform.rules.events.classes
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in classes.deny} with input as request
}

test_classes_that_the_app_declares_or_that_are_free_pass if {
	_places(requests.deploy_with_events) == set()
	_places(requests.changed(requests.deploy_with_events, "/app/events/publishes/0/classes", ["public"])) == set()
}

test_a_class_that_the_publisher_does_not_declare_is_refused if {
	request := requests.changed(requests.deploy_with_events, "/app/events/publishes/0/classes", ["internal", "financial"])
	_places(request) == {["app", "events", "publishes", 0, "classes", 1]}
}

test_a_class_that_the_platform_does_not_know_is_refused if {
	made_up := requests.changed(requests.deploy_with_events, "/app/events/publishes/0/classes", ["gossip"])
	_places(requests.changed(made_up, "/app/data/classes", ["gossip"])) == {["app", "events", "publishes", 0, "classes", 0]}
}

test_a_subscriber_declares_what_could_not_be_masked if {
	request := requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/classes", ["special"])
	_places(request) == {["app", "events", "subscribes", 0]}
	_places(requests.changed(request, "/app/data/classes", ["internal", "personal", "special"])) == set()
}

test_a_subscriber_may_have_personal_data_masked if {
	request := requests.changed(requests.deploy_with_events, "/facts/events/subscriptions/0/classes", ["personal"])
	_places(requests.changed(request, "/app/data/classes", ["internal"])) == {["app", "events", "publishes", 0, "classes", 1]}
}

test_an_app_that_declares_nothing_publishes_nothing_personal if {
	_places(requests.without(requests.deploy_with_events, "/app/data")) == {["app", "events", "publishes", 0, "classes", 1]}
}
