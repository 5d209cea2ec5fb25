# METADATA
# title: AppArmor stays on
# description: A pod runs under the runtime's AppArmor profile or one that is installed on the node, never under none.
# custom:
#   id: PSS-010
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:AC-3", "CIS-Kubernetes-1.8:5.7.3", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Use RuntimeDefault or Localhost, or remove the profile."
package platform.rules.pss.app_armor

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"app_armor" in pss.checks
	some s in pods.secured
	profile := object.get(s.security, "appArmorProfile", null)
	profile != null
	sort := lists.text_of(profile, "type")
	not sort in data.platform.pss.app_armor.types
	v := {
		"path": array.concat(s.path, ["securityContext", "appArmorProfile", "type"]),
		"message": sprintf("The %s has the AppArmor profile type %s.", [s.who, json.marshal(sort)]),
	}
}

deny contains v if {
	"app_armor" in pss.checks
	some name, value in pods.annotations
	startswith(name, data.platform.pss.app_armor.annotation_prefix)
	not _is_allowed(value)
	v := {
		"path": array.concat(pods.metadata_path, ["annotations", name]),
		"message": sprintf("An annotation sets the AppArmor profile %s.", [json.marshal(value)]),
	}
}

_is_allowed(value) if value in data.platform.pss.app_armor.annotations

_is_allowed(value) if {
	is_string(value)
	some prefix in data.platform.pss.app_armor.annotation_prefixes
	startswith(value, prefix)
}
