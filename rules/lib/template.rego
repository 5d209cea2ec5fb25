# What the app's template offers, an unknown one nothing; and whether a template that is to be published was before.
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

# Of a request to publish: the facts are about this template, and nothing is published under its name and version.
is_unpublished if {
	_is_about_it
	input.facts.template.known == false
}

# Nothing would change: it is published, word for word.
is_as_published if {
	_is_about_it
	input.facts.template.known == true
	input.facts.template.spec == object.remove(input.app, ["name"])
}

_is_about_it if {
	input.facts.template.name == input.app.name
	input.facts.template.version == input.resource.metadata.version
}
