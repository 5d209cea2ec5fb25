# Resources that a Terraform plan leaves in place: changed, created or as they are. What is taken away is judged by nobody.
package platform.lib.plan

import data.platform.lib.lists

changes contains c if {
	some i, it in lists.at(["resource", "resource_changes"])
	c := {"index": i, "it": it, "about": lists.object_of(it, "change")}
}

resources contains r if {
	some c in changes
	count(lists.of(c.about, "actions")) > 0
	not is_gone(c.about)
	lists.text_of(c.it, "mode") != "data"
	r := {
		"address": lists.text_of(c.it, "address"),
		"type": lists.text_of(c.it, "type"),
		"after": lists.object_of(c.about, "after"),
		"unknown": lists.object_of(c.about, "after_unknown"),
		"path": ["resource", "resource_changes", c.index, "change", "after"],
	}
}

is_gone(about) if about.actions in [["delete"], ["forget"]]

# A table of attributes: {type, at, block?, one_of, absent?}; one row per place of a resource that it speaks of.
places(table) := {place |
	some row in table
	some r in resources
	r.type == row.type
	some owner in _owners(r, row)
	place := {
		"row": row,
		"path": array.concat(owner.path, [row.at]),
		"value": object.get(owner.it, row.at, null),
		"is_unknown": object.get(owner.unknown, row.at, false) == true,
	}
}

_owners(r, row) := [owner |
	some i, it in lists.of(r.after, row.block)
	is_object(it)
	owner := {"it": it, "unknown": _at(lists.of(r.unknown, row.block), i), "path": array.concat(r.path, [row.block, i])}
] if {
	is_string(row.block)
} else := [{"it": r.after, "unknown": r.unknown, "path": r.path}]

_at(items, i) := items[i] if {
	i < count(items)
	is_object(items[i])
} else := {}

# Whether a place holds what its row demands; what is not known yet is INF-008's.
is_met(place) if place.value in place.row.one_of

is_met(place) if {
	place.value == null
	object.get(place.row, "absent", false) == true
}

is_met(place) if {
	place.value == null
	place.is_unknown
}
