# METADATA
# title: No namespaces of the host
# description: A pod has a network, processes and memory of its own and shares none of them with its host.
# custom:
#   id: PSS-004
#   severity: critical
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.3", "CIS-Kubernetes-1.8:5.2.4", "CIS-Kubernetes-1.8:5.2.5", "NIST-SP-800-53:SC-39", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove the member or set it to false."
package platform.rules.pss.host_namespaces

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"host_namespaces" in pss.checks
	some name in data.platform.pss.host_namespaces
	not object.get(pods.spec, name, null) in {null, false}
	v := {
		"path": array.concat(pods.spec_path, [name]),
		"message": sprintf("The pod shares a namespace with its host: %s.", [name]),
	}
}
