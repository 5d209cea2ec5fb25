# What the app's template offers; an unknown template offers nothing.
package platform.lib.template

import data.platform.lib.lists

# [connector, scope] for each scope of each connector.
scopes contains [name, scope] if {
	input.facts.template.known == true
	some c in lists.at(["facts", "template", "spec", "connectors"])
	name := lists.text_of(c, "name")
	some scope in lists.of(c, "scopes")
}

connectors contains name if {
	input.facts.template.known == true
	some c in lists.at(["facts", "template", "spec", "connectors"])
	name := lists.text_of(c, "name")
	name != ""
}
