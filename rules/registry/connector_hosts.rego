# METADATA
# title: "Connectors name plain public hosts"
# description: "A connector has hosts, each one full public host name."
# custom:
#   id: REG-003
#   severity: high
#   applies_to: [registry_entry]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.6", "GDPR:Art.24", "NIST-SP-800-53:SC-7"]
#   remediation: "Write the full host name alone, such as api.example.com."
package platform.rules.registry.connector_hosts

import data.platform.lib.lists

deny contains v if {
	input.resource.kind == "Connector"
	some i, host in _hosts
	not _is_plain(host)
	v := {
		"path": ["resource", "spec", "hosts", i],
		"message": sprintf("%s is not one full public host name.", [json.marshal(host)]),
	}
}

deny contains v if {
	input.resource.kind == "Connector"
	count(_hosts) == 0
	v := {"path": ["resource", "spec", "hosts"], "message": "The connector names no host, so no call could be told to belong to it."}
}

_hosts := lists.of(lists.object_of(object.get(input, "resource", {}), "spec"), "hosts")

_is_plain(host) if {
	is_string(host)
	regex.match(data.platform.egress.host_pattern, host)
	not strings.any_suffix_match(host, data.platform.egress.local_suffixes)
}
