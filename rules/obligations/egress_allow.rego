# METADATA
# title: Hosts that the app may reach
# description: Of the hosts in the egress list, those that belong to the app's approved connectors; for a call, the one host it goes to.
# custom:
#   type: egress_allow
#   applies_to: [deploy, connector_call]
package platform.obligations.egress_allow

import data.platform.lib.destination
import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

oblige contains host if {
	input.kind == "deploy"
	some host in lists.at(["app", "egress"])
	some used in manifest.connectors
	[used.name, host] in registry.hosts
}

oblige contains host if {
	input.kind == "connector_call"
	host := input.facts.url.host
	some name in destination.names
	[name, host] in registry.hosts
}
