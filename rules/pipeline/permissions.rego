# METADATA
# title: "Workflows say what their token may do"
# description: "Each job has permissions, its own or the workflow's, scope by scope; never all of them."
# custom:
#   id: PIPE-003
#   severity: medium
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.8.2", "SOC2:CC6.3", "GDPR:Art.32", "NIST-SP-800-53:AC-6"]
#   remediation: "Write permissions with what the job needs, such as contents read, at the top of the workflow."
package platform.rules.pipeline.permissions

import data.platform.lib.workflows

deny contains v if {
	some job in workflows.jobs
	_granted(job.it) == null
	v := {"path": job.path, "message": "Nothing says what this job's token may do, so it may do what the organisation's default gives."}
}

deny contains v if {
	some job in workflows.jobs
	granted := _granted(job.it)
	granted != null
	not _is_told(granted)
	v := {
		"path": _place(job),
		"message": sprintf("The permissions %s are not given scope by scope.", [json.marshal(granted)]),
	}
}

_granted(job) := object.get(job, "permissions", object.get(input, ["resource", "permissions"], null)) if is_object(job)

_place(job) := array.concat(job.path, ["permissions"]) if {
	"permissions" in object.keys(job.it)
} else := ["resource", "permissions"]

_is_told(granted) if granted in data.platform.pipeline.permission_words

_is_told(granted) if {
	is_object(granted)
	every _, level in granted {
		level in data.platform.pipeline.permission_levels
	}
}
