# METADATA
# title: No annotation switches seccomp off
# description: Before version 1.19 annotations said which seccomp profile a pod has; none may be unconfined.
# custom:
#   id: PSS-013
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.7.2", "NIST-SP-800-53:CM-7", "SOC2:CC6.1", "ISO-27001:A.8.9", "GDPR:Art.32"]
#   remediation: "Use runtime/default or localhost/…, or remove the annotation."
package platform.rules.pss.seccomp_annotations

import data.platform.lib.pods
import data.platform.lib.pss

deny contains v if {
	"seccomp_annotations" in pss.checks
	some name in _names
	value := pods.annotations[name]
	not _is_allowed(value)
	v := {
		"path": array.concat(pods.metadata_path, ["annotations", name]),
		"message": sprintf("An annotation sets the seccomp profile %s.", [json.marshal(value)]),
	}
}

_names contains data.platform.pss.seccomp.pod_annotation

_names contains name if {
	some c in pods.containers
	name := concat("", [data.platform.pss.seccomp.container_annotation_prefix, c.name])
}

_is_allowed(value) if value in data.platform.pss.seccomp.annotations

_is_allowed(value) if {
	is_string(value)
	some prefix in data.platform.pss.seccomp.annotation_prefixes
	startswith(value, prefix)
}
