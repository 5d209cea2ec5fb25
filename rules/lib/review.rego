# How long a connector's document is good for: it is looked at again by the end of a day that it names.
package platform.lib.review

import data.platform.lib.instants
import data.platform.lib.registry

_day := 86400000000000

# Names of usable connectors whose day is over. A day that cannot be read, or no clock to read it by, counts as over.
overdue contains c.name if {
	some c in registry.entries
	not _is_good(c)
}

# Names of those whose day is near, and not over.
due contains c.name if {
	some c in registry.entries
	left := _left(c)
	left > 0
	left <= data.platform.connectors.review_warn_days * _day
}

_is_good(c) if _left(c) > 0

# Nanoseconds until the day is over; undefined where nobody can say.
_left(c) := (instants.nanoseconds(sprintf("%sT00:00:00Z", [c.review_by])) + _day) - instants.nanoseconds(object.get(input, "now", ""))
