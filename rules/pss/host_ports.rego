# METADATA
# title: No ports of the host
# description: A container opens no port on its host's own addresses.
# custom:
#   id: PSS-008
#   severity: medium
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.2.13", "NIST-SP-800-53:CM-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove hostPort and let a Service lead to the container's port."
package platform.rules.pss.host_ports

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"host_ports" in pss.checks
	some c in pods.containers
	some i, port in lists.of(c.it, "ports")
	number := object.get(lists.as_object(port), "hostPort", null)
	not number in {null, 0}
	v := {
		"path": array.concat(c.path, ["ports", i, "hostPort"]),
		"message": sprintf("The %s opens the port %s of the host.", [c.who, json.marshal(number)]),
	}
}
