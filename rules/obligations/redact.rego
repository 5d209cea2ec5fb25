# METADATA
# title: Values that an app is not sent
# description: Kinds of values that are cut out of a request before the app reads it, by what the platform says of its audience and the classes that it declares.
# custom:
#   type: redact
#   applies_to: [app_call]
package platform.obligations.redact

import data.platform.lib.lists

# Whatever of this is not said plainly cuts everything out.
oblige contains kind if {
	some kind, class in data.platform.gateway.kinds
	not _may_be_sent(class)
}

_audience := lists.object_of(data.platform.gateway.audience, lists.text_of(object.get(input, "app", {}), "audience"))

_may_be_sent(_) if _audience.redact_requests == "none"

_may_be_sent(class) if {
	_audience.redact_requests == "undeclared"
	class in lists.at(["app", "data", "classes"])
}
