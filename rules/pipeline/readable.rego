# METADATA
# title: "Workflows have the form that GitHub reads"
# description: "Jobs, steps, and what they use and run are of the type that GitHub expects, so that every rule sees them."
# custom:
#   id: PIPE-001
#   severity: high
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-3"]
#   remediation: "Correct the place that the message names; see GitHub's workflow syntax."
package platform.rules.pipeline.readable

import data.platform.lib.lists
import data.platform.lib.workflows

deny contains v if {
	count(workflows.jobs) + count(workflows.steps) + count(lists.object_of(object.get(input, "resource", {}), "runs")) == 0
	v := {"path": ["resource"], "message": "There is no job and no step to look at."}
}

deny contains v if {
	some job in workflows.jobs
	not is_object(job.it)
	v := {"path": job.path, "message": "A job has to be an object."}
}

deny contains v if {
	some job in workflows.jobs
	is_object(job.it)
	some member, kind in {"steps": "array", "uses": "string", "env": "object"}
	value := object.get(job.it, member, null)
	not type_name(value) in {kind, "null"}
	v := {"path": array.concat(job.path, [member]), "message": sprintf("The member %s has another type than GitHub reads.", [member])}
}

deny contains v if {
	some step in workflows.steps
	not is_object(step.it)
	v := {"path": step.path, "message": "A step has to be an object."}
}

deny contains v if {
	some step in workflows.steps
	is_object(step.it)
	some member, kind in {"uses": "string", "run": "string", "with": "object", "env": "object"}
	value := object.get(step.it, member, null)
	not type_name(value) in {kind, "null"}
	v := {"path": array.concat(step.path, [member]), "message": sprintf("The member %s has another type than GitHub reads.", [member])}
}
