package tests.data.exfiltration_test

import data.platform.rules.data.exfiltration
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in exfiltration.deny} with input as request
}

test_a_flow_without_findings_passes if {
	_places(requests.data_flow) == set()
}

test_a_call_without_findings_passes if {
	_places(requests.connector_call) == set()
}

test_people_s_data_may_go_to_a_connector_once_masked if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/name", "entity": "PERSON", "score": 0.9}])
	_places(request) == set()
}

test_a_class_that_may_not_be_masked_is_refused if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/iban", "entity": "IBAN_CODE", "score": 0.9}])
	_places(request) == {["resource", "payload", "iban"]}
}

test_a_cleared_destination_takes_it if {
	request := requests.changed(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/iban", "entity": "IBAN_CODE"}]), "/facts/connectors/1/data_classes", ["financial"])
	_places(request) == set()
}

test_people_s_data_outside_the_payload_cannot_be_masked if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/purpose", "entity": "PERSON"}])
	_places(request) == {["resource", "purpose"]}
}

test_people_s_data_to_an_unlisted_address_is_refused if {
	request := requests.changed(requests.changed(requests.flow_to_url, "/facts/url/host", "collect.evil.example"), "/facts/pii", [{"pointer": "/payload/a~1b", "entity": "EMAIL_ADDRESS"}])
	_places(request) == {["resource", "payload", "a/b"]}
}

test_a_call_to_a_connector_that_is_cleared_passes if {
	request := requests.changed(requests.connector_call, "/facts/pii", [{"pointer": "/body/name", "entity": "PERSON"}])
	_places(request) == set()
}

test_a_call_to_a_connector_that_is_not_cleared_is_refused if {
	request := requests.changed(requests.changed(requests.connector_call, "/facts/pii", [{"pointer": "/body/name", "entity": "PERSON"}]), "/resource/connector", "recommender")
	_places(request) == {["resource", "body", "name"]}
}

test_an_entity_that_nobody_classified_is_refused if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/x", "entity": "RUNE"}])
	_places(request) == {["resource", "payload", "x"]}
}

test_a_finding_without_entity_or_place_is_refused if {
	_places(requests.changed(requests.data_flow, "/facts/pii", [{}])) == {["resource"]}
}

test_harmless_findings_pass if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/when", "entity": "DATE_TIME"}])
	_places(request) == set()
}

test_an_address_shared_by_two_connectors_is_cleared_for_what_both_are if {
	request := requests.changed(requests.changed(requests.changed(requests.flow_to_url, "/facts/connectors/0/hosts", ["api.recommender.example.com"]), "/facts/connectors/0/data_classes", ["financial"]), "/facts/pii", [{"pointer": "/payload/iban", "entity": "IBAN"}])
	_places(request) == {["resource", "payload", "iban"]}
}

test_no_answer_from_the_scanner_is_no_clearance if {
	_places(requests.without(requests.data_flow, "/facts/pii")) == {["resource"]}
}

test_no_facts_mean_no_clearance if {
	_places(requests.without(requests.connector_call, "/facts")) == {["resource"]}
}

test_harmless_findings_pass_wherever_they_go if {
	request := requests.changed(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/when", "entity": "DATE_TIME"}]), "/facts/connectors/1/data_classes", [])
	_places(request) == set()
}

test_a_call_cannot_be_masked if {
	request := requests.changed(requests.changed(requests.connector_call, "/facts/pii", [{"pointer": "/payload/x", "entity": "PERSON"}]), "/facts/connectors/0/data_classes", ["internal"])
	_places(request) == {["resource", "payload", "x"]}
}

test_an_answer_s_finding_that_can_be_masked_passes if {
	_places(requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/x", "entity": "EMAIL_ADDRESS"}])) == set()
}

test_an_answer_s_finding_of_another_class_is_refused_unless_it_is_declared_by_class_and_kind if {
	request := requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/x", "entity": "IBAN_CODE"}])
	_places(request) == {["resource", "payload", "x"]}
	by_class := requests.changed(request, "/app/data/classes", ["internal", "financial"])
	_places(by_class) == {["resource", "payload", "x"]}
	_places(requests.changed(by_class, "/app/data/pii", ["bank_account"])) == set()
	_places(requests.changed(request, "/app/data/pii", ["bank_account"])) == {["resource", "payload", "x"]}
}

test_an_answer_s_finding_outside_the_payload_cannot_be_masked if {
	_places(requests.changed(requests.answer, "/facts/pii", [{"pointer": "/purpose", "entity": "EMAIL_ADDRESS"}])) == {["resource", "purpose"]}
}

test_what_nobody_can_name_is_not_declared if {
	_places(requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/x", "entity": "MEMBER_NAME"}])) == {["resource", "payload", "x"]}
}

_with_finding(request, entity) := requests.changed(request, "/facts/pii", [{"pointer": "/payload/x", "entity": entity}])

test_an_event_s_finding_that_can_be_masked_passes_and_another_does_not if {
	_places(_with_finding(requests.event_published, "EMAIL_ADDRESS")) == set()
	_places(_with_finding(requests.event_delivered, "EMAIL_ADDRESS")) == set()
	_places(_with_finding(requests.event_published, "IBAN_CODE")) == {["resource", "payload", "x"]}
	_places(_with_finding(requests.event_delivered, "IBAN_CODE")) == {["resource", "payload", "x"]}
}

test_a_subscriber_gets_what_it_declares_by_class_and_kind if {
	by_class := requests.changed(_with_finding(requests.event_delivered, "IBAN_CODE"), "/facts/event/subscriber/classes", ["financial"])
	_places(by_class) == {["resource", "payload", "x"]}
	_places(requests.changed(by_class, "/facts/event/subscriber/pii", ["bank_account"])) == set()
}

test_an_event_holds_what_its_app_declares_for_it_and_no_other_class if {
	declared := requests.changed(requests.changed(_with_finding(requests.event_published, "IBAN_CODE"), "/app/data/classes", ["financial"]), "/app/data/pii", ["bank_account"])
	_places(declared) == {["resource", "payload", "x"]}
	_places(requests.changed(declared, "/facts/event/classes", ["financial"])) == set()
}

test_what_stands_beside_an_event_s_data_cannot_be_masked if {
	request := requests.changed(requests.event_delivered, "/facts/pii", [{"pointer": "/event/subject", "entity": "EMAIL_ADDRESS"}])
	_places(request) == {["resource", "event", "subject"]}
}

test_a_destination_with_more_in_it_is_no_event if {
	more := requests.extended(_with_finding(requests.event_delivered, "EMAIL_ADDRESS"), "/resource/destination/url", "https://evil.example/")
	_places(more) == {["resource", "payload", "x"]}
}

test_a_header_of_an_answer_is_left_out_where_it_could_be_masked if {
	_places(requests.changed(requests.answer, "/facts/pii", [{"pointer": "/headers/etag", "entity": "EMAIL_ADDRESS"}])) == set()
	_places(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/headers/etag", "entity": "EMAIL_ADDRESS"}])) == {["resource", "headers", "etag"]}
}
