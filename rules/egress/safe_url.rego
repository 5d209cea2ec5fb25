# METADATA
# title: Outgoing addresses are plain and public
# description: "An outgoing URL must be https on the standard port, without user name, IP address, private host or a path that climbs."
# custom:
#   id: EGR-001
#   severity: critical
#   applies_to: [connector_call, data_flow]
#   controls: ["ISO-27001:A.8.20", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-7", "NIST-SP-800-53:AC-4"]
#   remediation: "Use the connector's own address, such as https://api.example.com/path."
package platform.rules.egress.safe_url

import data.platform.lib.destination

deny contains v if {
	some path in destination.url_paths
	not _is_safe
	v := {
		"path": path,
		"message": sprintf("The address (host %s) is not a plain public https address.", [json.marshal(destination.host)]),
	}
}

_is_safe if {
	count(destination.urls) == 1
	url := input.facts.url
	url.valid == true
	url.scheme in data.platform.egress.schemes
	url.port in data.platform.egress.ports
	url.has_userinfo == false
	url.is_ip == false
	url.is_private == false
	_is_plain_host(url.host)
	_is_plain_path(url.path)
}

_is_plain_host(host) if {
	is_string(host)
	regex.match(data.platform.egress.host_pattern, host)
	not strings.any_suffix_match(host, data.platform.egress.local_suffixes)
}

# A path that climbs, or is encoded twice, may arrive somewhere else than where it was checked.
_is_plain_path(path) if {
	is_string(path)
	not contains(path, "..")
	not contains(path, "//")
	not contains(path, "\\")
	not contains(path, "%")
}
