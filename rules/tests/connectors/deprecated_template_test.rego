package tests.connectors.deprecated_template_test

import data.platform.rules.connectors.deprecated_template
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in deprecated_template.deny} with input as request
}

_said(request) := messages if {
	messages := {v.message | some v in deprecated_template.deny} with input as request
}

_deprecated(request) := requests.changed(request, "/facts/connectors/1/state", "deprecated")

test_a_template_of_connectors_in_full_service_passes if {
	_places(requests.template) == set()
}

test_one_on_its_way_out_is_named_with_its_path if {
	_places(_deprecated(requests.template)) == {["app", "connectors", 1, "name"]}
}

test_what_replaces_it_is_said if {
	request := requests.extended(_deprecated(requests.template), "/facts/connectors/1/replaced_by", "advisor")
	_said(request) == {`The connector "recommender" is deprecated, so no template brings new apps to it. Use "advisor" instead.`}
}

test_a_connector_that_the_template_does_not_name_is_nothing_to_it if {
	request := requests.without(_deprecated(requests.template), "/app/connectors/1")
	_places(request) == set()
}

test_without_facts_nothing_is_known_to_be_deprecated if {
	_places(requests.without(requests.template, "/facts")) == set()
}
