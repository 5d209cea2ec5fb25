# METADATA
# title: "Administration is not open to the internet"
# description: "No rule of a network lets everybody reach a port that administrators or databases use."
# custom:
#   id: INF-004
#   severity: critical
#   applies_to: [infrastructure]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7"]
#   remediation: "Name the networks that need it, or go through the platform's access proxy."
package platform.rules.infrastructure.admin_ports

import data.platform.lib.openings

deny contains v if {
	some opening in openings.all
	_is_anybody(opening.source)
	ports := [port | some port in data.platform.infrastructure.admin_ports; port >= opening.from; port <= opening.to]
	count(ports) > 0
	v := {
		"path": opening.path,
		"message": sprintf("Everybody (%s) may reach %d ports for administration, %d among them.", [
			opening.source,
			count(ports),
			ports[0],
		]),
	}
}

_is_anybody(source) if lower(source) in data.platform.infrastructure.anywhere

_is_anybody(source) if {
	regex.match(`^[0-9.]+/[0-9]{1,2}$`, source)
	to_number(split(source, "/")[1]) < data.platform.infrastructure.shortest_prefix.four
}

_is_anybody(source) if {
	regex.match(`^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*/[0-9]{1,3}$`, source)
	to_number(split(source, "/")[1]) < data.platform.infrastructure.shortest_prefix.six
}
