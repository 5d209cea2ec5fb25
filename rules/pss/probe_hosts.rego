# METADATA
# title: Probes and hooks stay within the pod
# description: The kubelet sends a probe or a hook to whatever host it names, past the pod's own network rules.
# custom:
#   id: PSS-009
#   severity: medium
#   applies_to: [workload]
#   controls: ["NIST-SP-800-53:SC-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Remove host from the probe or hook; it then goes to the pod itself."
package platform.rules.pss.probe_hosts

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"probe_hosts" in pss.checks
	some c in pods.containers
	some name, probe in c.it
	name in data.platform.pss.probes
	some handler in _naming_hosts(probe)
	v := {
		"path": array.concat(c.path, [name, handler, "host"]),
		"message": sprintf("The %s of the %s goes to a host of its own choice.", [name, c.who]),
	}
}

deny contains v if {
	"probe_hosts" in pss.checks
	some c in pods.containers
	some hook, action in lists.object_of(c.it, "lifecycle")
	hook in data.platform.pss.hooks
	some handler in _naming_hosts(action)
	v := {
		"path": array.concat(c.path, ["lifecycle", hook, handler, "host"]),
		"message": sprintf("The hook %s of the %s goes to a host of its own choice.", [hook, c.who]),
	}
}

_naming_hosts(action) := [handler |
	some handler in data.platform.pss.handlers
	not object.get(lists.object_of(action, handler), "host", null) in {null, ""}
]
