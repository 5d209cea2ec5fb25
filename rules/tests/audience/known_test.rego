package tests.audience.known_test

import data.platform.rules.audience.known
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in known.deny} with input as request
}

test_a_known_audience_passes if {
	_places(requests.deploy) == set()
}

test_an_unknown_audience_is_refused if {
	_places(requests.changed(requests.deploy, "/app/audience", "everybody")) == {["app", "audience"]}
}

test_a_missing_audience_is_refused if {
	_places(requests.without(requests.template, "/app/audience")) == {["app", "audience"]}
}

test_a_publish_request_names_one_as_well if {
	_places(requests.publish) == set()
}

test_a_publish_request_for_an_unknown_audience_is_refused if {
	request := requests.changed(requests.publish, "/resource/change/audience", "world")
	_places(request) == {["resource", "change", "audience"]}
}

test_a_publish_request_without_an_audience_is_refused if {
	_places(requests.without(requests.publish, "/resource/change")) == {["resource", "change", "audience"]}
}

test_facts_change_nothing_about_an_audience if {
	_places(requests.without(requests.deploy, "/facts")) == set()
}
