# Findings of the scanner, with the class of each and its place as segments. An entity without a class has the class
# "unclassified", for which nothing is cleared.
package platform.lib.findings

import data.platform.lib.lists

pii contains f if {
	some found in lists.at(["facts", "pii"])
	entity := upper(lists.text_of(found, "entity"))
	f := {
		"class": object.get(data.platform.classes.entities, entity, "unclassified"),
		"entity": entity,
		"segments": segments(lists.text_of(found, "pointer")),
		"within": segments(lists.text_of(found, "within")),
		"span": lists.of(found, "span"),
	}
}

secrets contains f if {
	some found in lists.at(["facts", "secrets"])
	f := {
		"entity": upper(lists.text_of(found, "entity")),
		"segments": segments(lists.text_of(found, "pointer")),
	}
}

# A JSON pointer (RFC 6901) as segments; "~1" before "~0", as the standard demands.
segments(pointer) := array.slice(split(pointer, "/"), 1, count(pointer) + 1) if {
	not contains(pointer, "~")
} else := [unescaped |
	some i, part in split(pointer, "/")
	i > 0
	unescaped := replace(replace(part, "~1", "/"), "~0", "~")
]
