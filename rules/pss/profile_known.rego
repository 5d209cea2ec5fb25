# METADATA
# title: Only profiles and versions of the standard
# description: A question names privileged, baseline or restricted, and a version such as v1.34 or latest; what it does not name is the platform's default.
# custom:
#   id: PSS-002
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:CM-6", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Ask for one of the profiles, and for a version such as v1.34 or latest."
package platform.rules.pss.profile_known

import data.platform.lib.pss

deny contains v if {
	not _is_known
	v := {
		"path": ["context", "profile"],
		"message": sprintf("The profile %s is none; there are %s.", [
			json.marshal(pss.profile),
			concat(", ", data.platform.pss.profiles),
		]),
	}
}

deny contains v if {
	not pss.minor
	v := {
		"path": ["context", "pss_version"],
		"message": sprintf("%s is no version of the Pod Security Standards.", [json.marshal(pss.version)]),
	}
}

_is_known if pss.profile in data.platform.pss.profiles
