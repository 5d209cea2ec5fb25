# METADATA
# title: No wildcards or internal addresses in the egress list
# description: "An egress host is one full public host name: no wildcard, address, port, scheme or name of an internal network."
# custom:
#   id: EGR-005
#   severity: high
#   applies_to: [template, deploy]
#   controls: ["ISO-27001:A.8.22", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: "Write the full host name alone, such as api.example.com."
package platform.rules.egress.plain_hosts

import data.platform.lib.lists

deny contains v if {
	some i, host in lists.at(["app", "egress"])
	not _is_plain(host)
	path := ["app", "egress", i]
	v := {
		"path": path,
		"message": sprintf("The egress entry %s is not one full public host name.", [json.marshal(host)]),
		"fix": [{"op": "remove", "path": path}],
	}
}

_is_plain(host) if {
	is_string(host)
	regex.match(data.platform.egress.host_pattern, host)
	not strings.any_suffix_match(host, data.platform.egress.local_suffixes)
}
