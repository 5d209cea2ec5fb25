package tests.data.flow_purpose_test

import data.platform.rules.data.flow_purpose
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in flow_purpose.deny} with input as request
}

test_a_stated_purpose_passes if {
	_places(requests.data_flow) == set()
}

test_a_missing_purpose_is_refused if {
	_places(requests.without(requests.data_flow, "/resource/purpose")) == {["resource", "purpose"]}
}

test_a_word_is_no_purpose if {
	_places(requests.changed(requests.data_flow, "/resource/purpose", "lunch")) == {["resource", "purpose"]}
}

test_a_purpose_that_is_no_text_is_none if {
	request := requests.changed(requests.data_flow, "/resource/purpose", ["Suggestions for lunch"])
	_places(request) == {["resource", "purpose"]}
}

test_facts_change_nothing_about_a_purpose if {
	_places(requests.without(requests.data_flow, "/facts")) == set()
}

test_a_purpose_of_twelve_characters_is_enough if {
	request := requests.changed(requests.data_flow, "/resource/purpose", "Lunch plans.")
	_places(request) == set()
}
