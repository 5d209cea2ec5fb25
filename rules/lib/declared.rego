# The calls of the app's manifest (spec.api) that the request's method and path fit, for requests and for their answers.
package platform.lib.declared

import data.platform.lib.lists

is_listed if object.get(lists.object_of(input, "app"), "api", null) != null

calls := [call |
	some call in lists.at(["app", "api"])
	lists.text_of(call, "method") == input.resource.method
	_fits(split(lists.text_of(call, "path"), "/"), split(input.resource.path, "/"))
]

_fits(pattern, parts) if {
	count(pattern) == count(parts)
	every i, part in pattern {
		_fits_one(part, parts[i])
	}
}

_fits_one(part, given) if part == given

_fits_one(part, given) if {
	regex.match(`^\{[a-z][a-zA-Z0-9]*\}$`, part)
	given != ""
}
