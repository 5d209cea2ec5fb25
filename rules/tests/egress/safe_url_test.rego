package tests.egress.safe_url_test

import data.platform.rules.egress.safe_url
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in safe_url.deny} with input as request
}

test_a_plain_https_address_passes if {
	_places(requests.connector_call) == set()
}

test_a_flow_to_a_plain_https_address_passes if {
	_places(requests.flow_to_url) == set()
}

test_a_call_without_an_address_is_refused_whatever_the_facts_say if {
	_places(requests.without(requests.connector_call, "/resource/url")) == {["resource", "url"]}
}

test_a_flow_to_a_connector_has_no_address_to_judge if {
	_places(requests.data_flow) == set()
}

test_http_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/scheme", "http")) == {["resource", "url"]}
}

test_another_port_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/port", 8443)) == {["resource", "url"]}
}

test_a_user_name_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/has_userinfo", true)
	_places(request) == {["resource", "url"]}
}

test_an_IP_address_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/is_ip", true)) == {["resource", "url"]}
}

test_a_private_host_is_refused if {
	_places(requests.changed(requests.flow_to_url, "/facts/url/is_private", true)) == {["resource", "destination", "url"]}
}

test_an_address_that_cannot_be_read_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url", {"valid": false})
	_places(request) == {["resource", "url"]}
}

test_a_name_of_an_internal_network_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/host", "metadata.google.internal")
	_places(request) == {["resource", "url"]}
}

test_a_bare_name_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/host", "hris")) == {["resource", "url"]}
}

test_a_path_that_climbs_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/scim/v2/Users/../salaries")
	_places(request) == {["resource", "url"]}
}

test_a_path_that_is_encoded_twice_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/scim/v2/Users/%2e%2e/salaries")
	_places(request) == {["resource", "url"]}
}

test_no_facts_means_no_address_is_safe if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource", "url"]}
}

test_parts_of_an_address_that_could_not_be_read_count_for_nothing if {
	_places(requests.changed(requests.connector_call, "/facts/url/valid", false)) == {["resource", "url"]}
}

test_a_host_that_is_no_text_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/host", 7)) == {["resource", "url"]}
}

test_a_path_that_is_no_text_is_refused if {
	_places(requests.changed(requests.connector_call, "/facts/url/path", null)) == {["resource", "url"]}
}

test_an_empty_part_of_a_path_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/v1//salaries")
	_places(request) == {["resource", "url"]}
}

test_a_backslash_is_refused if {
	request := requests.changed(requests.connector_call, "/facts/url/path", "/v1\\salaries")
	_places(request) == {["resource", "url"]}
}
