# METADATA
# title: Only sysctls that stay within the pod
# description: A pod sets no parameter of the kernel but those that are known to affect nothing outside it.
# custom:
#   id: PSS-015
#   severity: high
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:CM-7", "NIST-SP-800-53:SC-39", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove the sysctl; the node's administrator can set it for all."
package platform.rules.pss.sysctls

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"sysctls" in pss.checks
	some i, sysctl in lists.of(lists.object_of(pods.spec, "securityContext"), "sysctls")
	name := lists.text_of(sysctl, "name")
	not name in _allowed
	v := {
		"path": array.concat(pods.spec_path, ["securityContext", "sysctls", i, "name"]),
		"message": sprintf("The pod sets the sysctl %s.", [json.marshal(name)]),
	}
}

_allowed := pss.allowed(data.platform.pss.sysctls)
