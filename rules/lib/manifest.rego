# The app's manifest as rules like to read it: what is missing is an empty value, never undefined, so that a rule that
# looks for "not in the allowed set" also fires on what is not there.
package platform.lib.manifest

import data.platform.lib.lists

connectors contains c if {
	some i, used in lists.at(["app", "connectors"])
	is_object(used)
	c := {
		"index": i,
		"name": object.get(used, "name", ""),
		"hosts": object.get(used, "hosts", []),
		"purpose": object.get(used, "purpose", ""),
		"scopes": object.get(used, "scopes", []),
	}
}

# An entry that is no object is a connector without a name, which no list holds.
connectors contains c if {
	some i, used in lists.at(["app", "connectors"])
	not is_object(used)
	c := {"index": i, "name": "", "hosts": [], "purpose": "", "scopes": []}
}

# One row per scope that the app asks for.
scopes contains s if {
	some c in connectors
	some j, scope in lists.of(c, "scopes")
	s := {"connector": c.name, "scope": scope, "path": ["app", "connectors", c.index, "scopes", j]}
}

classes contains class if some class in lists.at(["app", "data", "classes"])

pii contains kind if some kind in lists.at(["app", "data", "pii"])

secrets contains s if {
	some i, secret in lists.at(["app", "secrets"])
	is_object(secret)
	s := {
		"index": i,
		"name": object.get(secret, "name", ""),
		"ttl": object.get(secret, "ttl", ""),
		"rotation": object.get(secret, "rotation", ""),
	}
}

secrets contains s if {
	some i, secret in lists.at(["app", "secrets"])
	not is_object(secret)
	s := {"index": i, "name": "", "ttl": "", "rotation": ""}
}

# Declared by class and, where it is about people, by kind.
declares(class, kind) if {
	class in classes
	kind in pii
}

declares(class, _) if {
	class in classes
	not class in data.platform.classes.about_people
}
