# METADATA
# title: Headers say nothing about the way
# description: An app's headers have plain names and values, and none that says where a message goes, how it is framed or which method it really has.
# custom:
#   id: EGR-007
#   severity: high
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7"]
#   remediation: Leave the header out; host, length and credential are the broker's to set.
package platform.rules.egress.plain_headers

import data.platform.lib.lists

deny contains v if {
	headers := object.get(input, ["resource", "headers"], {})
	is_object(headers)
	some name, value in headers
	not _is_plain(name, value)
	v := {
		"path": ["resource", "headers"],
		"message": sprintf("The header %s may not come from an app, or its name or value is not plain text.", [json.marshal(name)]),
	}
}

deny contains v if {
	not is_object(object.get(input, ["resource", "headers"], {}))
	v := {
		"path": ["resource", "headers"],
		"message": "The headers are not an object of names and texts.",
	}
}

# Which of the two counts, one reader may see otherwise than the next.
deny contains v if {
	headers := object.get(input, ["resource", "headers"], {})
	is_object(headers)
	some name, _ in headers
	count([other | some other, _ in headers; lower(other) == lower(name)]) > 1
	v := {
		"path": ["resource", "headers"],
		"message": sprintf("The header %s stands there twice, in other letters.", [json.marshal(lower(name))]),
	}
}

# What was decided on is the value; read as a form, or as XML, its text would say something else.
deny contains v if {
	body := object.get(input, ["resource", "body"], null)
	not type_name(body) in {"null", "string"}
	some name, value in lists.object_of(input.resource, "headers")
	lower(name) == "content-type"
	not _is_json(value)
	v := {
		"path": ["resource", "headers", name],
		"message": "The body is a JSON value, and the header content-type says something else.",
	}
}

_is_json(value) if {
	is_string(value)
	regex.match(data.platform.headers.json_types, lower(value))
}

_is_plain(name, value) if {
	regex.match(data.platform.headers.name_pattern, name)
	not lower(name) in data.platform.headers.refused
	is_string(value)
	count(value) <= data.platform.headers.longest_value
	regex.match(data.platform.headers.value_pattern, value)
}
