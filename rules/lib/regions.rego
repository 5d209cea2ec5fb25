# Where the resources of a plan lie: by their own attributes, and by the settings of their provider.
package platform.lib.regions

import data.platform.lib.lists
import data.platform.lib.plan

all contains found if {
	some r in plan.resources
	some attribute in data.platform.infrastructure.region_attributes
	place := lists.text_of(r.after, attribute)
	place != ""
	found := {"place": place, "path": array.concat(r.path, [attribute])}
}

all contains found if {
	some p in _providers
	place := _constant(p.region)
	found := {"place": place, "path": array.concat(p.path, ["expressions", "region"])}
}

# Providers whose resources lie where their settings say, and whose settings do not say it.
untold contains found if {
	some p in _providers
	not _constant(p.region)
	found := {"path": p.path}
}

region_of(place) := parts[1] if {
	parts := regex.find_all_string_submatch_n(data.platform.infrastructure.zone_pattern, lower(place), 1)[0]
} else := replace(lower(place), " ", "")

_providers contains p if {
	some key, it in lists.object_of(lists.object_of(object.get(input, "resource", {}), "configuration"), "provider_config")
	lists.text_of(it, "name") in data.platform.infrastructure.regional_providers
	p := {
		"region": lists.object_of(lists.object_of(it, "expressions"), "region"),
		"path": ["resource", "configuration", "provider_config", key],
	}
}

_constant(region) := region.constant_value if {
	is_string(region.constant_value)
} else := values[0] if {
	values := [value |
		some reference in lists.of(region, "references")
		is_string(reference)
		startswith(reference, "var.")
		value := lists.text_of(lists.object_of(_variables, trim_prefix(reference, "var.")), "value")
		value != ""
	]
	count(values) > 0
}

_variables := lists.object_of(object.get(input, "resource", {}), "variables")
