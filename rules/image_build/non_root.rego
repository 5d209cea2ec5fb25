# METADATA
# title: "Images do not run as root"
# description: "The last stage says which ordinary user the container runs as."
# custom:
#   id: IMG-003
#   severity: high
#   applies_to: [image_build]
#   controls: ["ISO-27001:A.8.2", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-6"]
#   remediation: "Create a user and end the last stage with USER and its name or number."
package platform.rules.image_build.non_root

import data.platform.lib.lists

deny contains v if {
	count(_stages) > 0
	_user == {}
	v := {
		"path": ["resource", "stages", count(_stages) - 1],
		"message": "The last stage has no USER, so the container runs as root.",
	}
}

deny contains v if {
	_user != {}
	name := split(lists.text_of(_user, "value"), ":")[0]
	not _is_ordinary(name)
	v := {
		"path": ["resource", "instructions", object.get(_user, "instruction", 0)],
		"message": sprintf("The container would run as %s, which is root or cannot be told.", [json.marshal(name)]),
	}
}

_stages := lists.at(["resource", "stages"])

_user := lists.object_of(_stages[count(_stages) - 1], "user")

_is_ordinary(name) if {
	regex.match(data.platform.image_build.user_pattern, name)
	not regex.match(data.platform.image_build.zero_pattern, name)
	not name in data.platform.image_build.administrators
}
