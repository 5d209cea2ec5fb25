package tests.secrets.inline_test

import data.platform.rules.secrets.inline
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in inline.deny} with input as request
}

test_a_manifest_without_secrets_passes if {
	_places(requests.deploy) == set()
}

test_a_secret_is_named_with_its_path_and_kind_only if {
	request := requests.changed(requests.deploy, "/facts/secrets", [{"pointer": "/spec/config/apiKey", "entity": "api_key"}])
	_places(request) == {["resource", "spec", "config", "apiKey"]}
}

test_a_template_is_held_to_the_same if {
	request := requests.changed(requests.template, "/facts/secrets", [{"pointer": "/spec/config/a~1b~0c", "entity": "PASSWORD"}])
	_places(request) == {["resource", "spec", "config", "a/b~c"]}
}

test_a_finding_without_a_place_is_refused if {
	_places(requests.changed(requests.publish, "/facts/secrets", [{}])) == {["resource"]}
}

test_no_answer_from_the_scanner_is_refused if {
	_places(requests.without(requests.lifecycle, "/facts/secrets")) == {["resource"]}
}

test_no_facts_are_refused if {
	_places(requests.without(requests.deploy, "/facts")) == {["resource"]}
}
