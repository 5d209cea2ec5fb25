package tests.obligations.mask_test

import data.platform.obligations.mask
import data.platform.obligations.refuse
import data.tests.lib.requests

_values(request) := values if {
	values := mask.oblige with input as request
}

test_a_flow_without_findings_masks_nothing if {
	_values(requests.data_flow) == set()
}

test_people_s_data_for_a_connector_that_is_not_cleared_is_masked if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/0/a~1b", "entity": "PERSON"}])
	_values(request) == {{"pointer": ["0", "a/b"], "class": "personal", "entity": "PERSON"}}
}

test_a_whole_text_is_masked_where_the_finding_is_the_payload if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload", "entity": "PERSON"}])
	_values(request) == {{"pointer": [], "class": "personal", "entity": "PERSON"}}
}

test_a_cleared_connector_gets_it_plain if {
	request := requests.changed(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/name", "entity": "PERSON"}]), "/facts/connectors/1/data_classes", ["personal"])
	_values(request) == set()
}

test_harmless_findings_stay if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/when", "entity": "DATE_TIME"}])
	_values(request) == set()
}

test_an_answer_hides_what_the_app_did_not_declare if {
	_values(requests.connector_call) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}}
}

test_an_answer_hides_everything_from_an_app_that_declared_nothing if {
	_values(requests.without(requests.connector_call, "/app/data")) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}, {"pointer": ["Resources", "*", "dietaryPreference"], "class": "personal"}, {"pointer": ["Resources", "*", "office"], "class": "internal"}}
}

test_a_field_about_people_without_a_kind_is_hidden if {
	request := requests.without(requests.connector_call, "/facts/connectors/0/fields/1/pii")
	_values(request) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}, {"pointer": ["Resources", "*", "dietaryPreference"], "class": "personal"}}
}

test_a_field_without_a_class_is_hidden if {
	request := requests.without(requests.connector_call, "/facts/connectors/0/fields/2/class")
	_values(request) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}, {"pointer": ["Resources", "*", "office"], "class": "unclassified"}}
}

test_harmless_findings_stay_wherever_they_go if {
	request := requests.changed(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/when", "entity": "DATE_TIME"}]), "/facts/connectors/1/data_classes", [])
	_values(request) == set()
}

test_a_finding_outside_the_payload_has_nothing_to_mask if {
	request := requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/purpose", "entity": "PERSON"}])
	_values(request) == set()
}

test_a_call_s_own_findings_are_not_its_answer_s if {
	request := requests.changed(requests.changed(requests.connector_call, "/facts/pii", [{"pointer": "/payload/x", "entity": "IBAN"}]), "/facts/connectors/0/fields", [])
	_values(request) == set()
}

test_an_answer_s_fields_are_hidden_as_those_of_its_call if {
	_values(requests.answer) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}}
}

test_what_an_answer_should_not_hold_is_hidden_by_what_was_found if {
	request := requests.changed(requests.answer, "/facts/pii", [{"pointer": "/payload/debug", "entity": "EMAIL_ADDRESS"}])
	_values(request) == {{"pointer": ["debug"], "class": "personal", "entity": "EMAIL_ADDRESS"}, {"pointer": ["Resources", "*", "emails"], "class": "personal"}}
}

test_what_the_app_declared_stays_in_an_answer if {
	declared := requests.changed(requests.answer, "/app/data/pii", ["dietary_preference", "email"])
	request := requests.changed(declared, "/facts/pii", [{"pointer": "/payload/debug", "entity": "EMAIL_ADDRESS"}])
	_values(request) == set()
}

_answer := {"Resources": [{"emails": []}]}

test_a_field_that_the_source_calls_sensitive_is_masked_unless_cleared if {
	request := requests.changed(requests.data_flow, "/resource/payload", _answer)
	_values(request) == {{"pointer": ["Resources", "*", "emails"], "class": "personal"}, {"pointer": ["Resources", "*", "dietaryPreference"], "class": "personal"}}
	_values(requests.changed(request, "/facts/connectors/1/data_classes", ["personal"])) == set()
}

test_a_field_under_a_name_that_is_written_in_another_way_is_masked if {
	masked := {{"pointer": ["Resources", "*", "emails"], "class": "personal"}, {"pointer": ["Resources", "*", "dietaryPreference"], "class": "personal"}}
	every name in {"RESOURCES", "Resources ", " Resources", "\tresources", "Resources\u001f", "Res\u0000ources", "\uff32esources", "Re\u200bsources", "Re\u017fources", "\u00a0Resources"} {
		_values(requests.changed(requests.data_flow, "/resource/payload", {name: [{"emails": []}]})) == masked
	}
	every name in {"Other", "Re sources", "", "Re-sources", "[Resources]"} {
		_values(requests.changed(requests.data_flow, "/resource/payload", {name: [{"emails": []}]})) == set()
	}
}

test_a_field_whose_own_name_is_written_in_another_way_is_masked if {
	field := {"pointer": ["\uff32esources "], "class": "personal"}
	listed := requests.changed(requests.data_flow, "/facts/connectors/0/fields", [field])
	_values(requests.changed(listed, "/resource/payload", _answer)) == {field}
	_values(requests.changed(listed, "/resource/payload", [])) == set()
}

test_a_name_in_other_signs_hides_no_more_than_a_field_of_that_place if {
	every pointer in {[], ["*"], [0]} {
		listed := requests.changed(requests.data_flow, "/facts/connectors/0/fields", [{"pointer": pointer, "class": "personal"}])
		_values(requests.changed(listed, "/resource/payload", {"caf\u00e9": 1})) == set()
	}
}

test_a_disguised_field_that_may_not_leave_is_masked_and_one_in_plain_sight_refused if {
	field := {"pointer": ["Salary"], "class": "restricted"}
	listed := requests.changed(requests.data_flow, "/facts/connectors/0/fields", [field])
	hidden := requests.changed(listed, "/resource/payload", {"\uff33alary": 1})
	_values(hidden) == {field}
	refuse.oblige == set() with input as hidden
	plain := requests.changed(listed, "/resource/payload", {"SALARY ": 1})
	refuse.oblige == {field} with input as plain
}

test_a_field_of_the_source_without_a_class_is_masked if {
	request := requests.without(requests.changed(requests.data_flow, "/resource/payload", _answer), "/facts/connectors/0/fields/2/class")
	{"pointer": ["Resources", "*", "office"], "class": "unclassified"} in _values(request)
}

test_a_list_is_masked_by_the_fields_of_its_items if {
	listed := requests.changed(requests.data_flow, "/facts/connectors/0/fields", [{"pointer": ["*", "emails"], "class": "personal"}])
	_values(requests.changed(listed, "/resource/payload", [{"emails": []}])) == {{"pointer": ["*", "emails"], "class": "personal"}}
	_values(listed) == set()
}

test_another_connector_s_fields_are_not_the_source_s if {
	_values(requests.changed(requests.changed(requests.data_flow, "/resource/payload", _answer), "/resource/source", "recommender")) == set()
}

test_a_kind_with_another_method_is_not_masked if {
	_values(requests.changed(requests.data_flow, "/facts/pii", [{"pointer": "/payload/who", "entity": "EMPLOYEE_ID"}])) == set()
}

test_a_subscriber_does_not_see_kinds_that_it_did_not_declare if {
	found := [{"pointer": "/payload/x", "entity": "EMAIL_ADDRESS"}, {"pointer": "/payload/y", "entity": "EMPLOYEE_ID"}]
	request := requests.changed(requests.event_delivered, "/facts/pii", found)
	_values(request) == {
		{"pointer": ["x"], "class": "personal", "entity": "EMAIL_ADDRESS"},
		{"pointer": ["y"], "class": "personal", "entity": "EMPLOYEE_ID"},
	}
	_values(requests.changed(request, "/facts/event/subscriber/pii", ["email", "employee_id"])) == set()
	_values(requests.changed(request, "/facts/event/subscriber/classes", ["internal"])) == _values(request)
}

test_a_field_at_any_depth_is_hidden_in_a_flow_of_whatever_form if {
	field := {"pointer": ["**", "emails"], "class": "personal"}
	listed := requests.changed(requests.data_flow, "/facts/connectors/0/fields", [field])
	_values(requests.changed(listed, "/resource/payload", [{"emails": []}])) == {field}
	_values(requests.changed(listed, "/resource/payload", {"deep": {"emails": []}})) == {field}
}
