# Where a call or a flow goes: the usable connector it names, or the one that owns the host of its URL.
package platform.lib.destination

import data.platform.lib.registry

names contains name if {
	input.kind == "connector_call"
	name := input.resource.connector
}

names contains name if {
	input.kind == "data_flow"
	name := input.resource.destination.connector
}

names contains name if {
	input.kind == "data_flow"
	object.get(input, ["resource", "destination", "connector"], "") == ""
	count(urls) == 1
	some [name, known] in registry.hosts
	known == input.facts.url.host
}

entries contains c if {
	some c in registry.entries
	c.name in names
}

# Where a URL stands in the request, if it has one. A call always has to have one.
url_paths contains ["resource", "url"] if input.kind == "connector_call"

url_paths contains ["resource", "destination", "url"] if {
	input.kind == "data_flow"
	input.resource.destination.url
}

# The URL itself, once: facts about an address count only where the request names one.
urls contains url if {
	input.kind == "connector_call"
	url := input.resource.url
	is_string(url)
}

urls contains url if {
	input.kind == "data_flow"
	url := input.resource.destination.url
	is_string(url)
}

# A message names the host at most: a query may hold anything.
host := object.get(input, ["facts", "url", "host"], "")

# A class is cleared only where every connector that the destination could be is cleared for it.
cleared contains class if {
	some c in entries
	some class in c.data_classes
	every other in entries {
		class in other.data_classes
	}
}
