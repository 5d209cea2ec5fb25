# METADATA
# title: SELinux stays on
# description: A pod keeps the SELinux user and role it is given, and has one of the types for containers.
# custom:
#   id: PSS-011
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:AC-3", "CIS-Kubernetes-1.8:5.7.3", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove seLinuxOptions.user and role; use a type such as container_t."
package platform.rules.pss.selinux

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"selinux" in pss.checks
	some s in pods.secured
	options := lists.object_of(s.security, "seLinuxOptions")
	sort := object.get(options, "type", "")
	not sort in _types
	v := {
		"path": array.concat(s.path, ["securityContext", "seLinuxOptions", "type"]),
		"message": sprintf("The %s has the SELinux type %s.", [s.who, json.marshal(sort)]),
	}
}

deny contains v if {
	"selinux" in pss.checks
	some s in pods.secured
	options := lists.object_of(s.security, "seLinuxOptions")
	some member in ["role", "user"]
	not object.get(options, member, null) in {null, ""}
	v := {
		"path": array.concat(s.path, ["securityContext", "seLinuxOptions", member]),
		"message": sprintf("The %s has an SELinux %s of its own choice.", [s.who, member]),
	}
}

_types := pss.allowed(data.platform.pss.selinux_types) | {null}
