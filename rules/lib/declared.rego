# The calls of the app's manifest (spec.api) that the request's method and path fit, for requests and for their answers.
package platform.lib.declared

import data.platform.lib.lists

is_listed if object.get(lists.object_of(input, "app"), "api", null) != null

# Each with its place in the list, by which facts name it.
calls := [call |
	some i, it in lists.at(["app", "api"])
	is_object(it)
	lists.text_of(it, "method") == input.resource.method
	_fits(split(lists.text_of(it, "path"), "/"))
	call := {"index": i, "it": it}
]

_given := split(lists.text_of(lists.object_of(input, "resource"), "path"), "/")

_fits(pattern) if {
	count(pattern) == count(_given)
	fitting := [part | some i, part in pattern; _fits_one(part, _given[i])]
	count(fitting) == count(pattern)
}

_fits_one(part, given) if part == given

_fits_one(part, given) if {
	regex.match(`^\{[a-z][a-zA-Z0-9]*\}$`, part)
	given != ""
}
