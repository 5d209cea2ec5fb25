# METADATA
# title: A call has a credential that is rotated
# description: Where a call goes out, a credential is stored for the connector and the tenant; one that was not rotated in time is named.
# custom:
#   id: SEC-005
#   severity: medium
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.5.17", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:SC-12"]
#   remediation: "Store one with `governance secret put`, or renew it with `governance secret rotate`."
package platform.rules.secrets.credential

import data.platform.lib.metering

deny contains v if {
	metering.is_on
	object.get(input, ["facts", "credential", "known"], false) != true
	v := {
		"path": ["resource", "connector"],
		"message": sprintf("No credential is stored for the connector %s and this tenant.", [
			json.marshal(object.get(input, ["resource", "connector"], "")),
		]),
	}
}

deny contains v if {
	input.facts.credential.known == true
	age := object.get(input, ["facts", "credential", "age_days"], 0)
	not _is_young(age)
	v := {
		"path": ["resource", "connector"],
		"effect": "warn",
		"message": sprintf("The credential is %s days old; it should be rotated every %d days.", [
			json.marshal(age), data.platform.secrets.longest_rotation.days,
		]),
	}
}

_is_young(age) if {
	is_number(age)
	age <= data.platform.secrets.longest_rotation.days
}
