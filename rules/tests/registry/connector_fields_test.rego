package tests.registry.connector_fields_test

import data.platform.rules.registry.connector_fields
import data.tests.lib.requests

_places(fields) := places if {
	request := object.union(requests.registry_entry, {"resource": {"kind": "Connector", "spec": {"fields": fields}}})
	places := {v.path | some v in connector_fields.deny} with input as request
}

_at(i) := ["resource", "spec", "fields", i, "class"]

test_known_classes_pass if {
	_places([{"pointer": ["**", "id"], "class": "personal"}, {"pointer": ["**", "name"], "class": "internal"}]) == set()
	_places([]) == set()
}

test_a_field_that_was_imported_has_to_be_classified if {
	_places([{"pointer": ["**", "id"], "class": "personal"}, {"pointer": ["**", "name"], "class": "unclassified"}]) == {_at(1)}
}

test_a_field_without_a_class_or_of_the_wrong_form_is_named if {
	_places([{"pointer": ["**", "id"]}, {"class": ["personal"]}, "personal"]) == {_at(0), _at(1), _at(2)}
}

test_what_is_no_connector_has_no_fields if {
	count(connector_fields.deny) == 0 with input as requests.changed(requests.registry_entry, "/resource/kind", "Waiver")
}

test_no_facts_are_needed if {
	count(connector_fields.deny) == 1 with input as {"resource": {"kind": "Connector", "spec": {"fields": [{}]}}}
}
