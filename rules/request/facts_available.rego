# METADATA
# title: No decision without the facts
# description: Where a stage that gathers facts could not answer, the request is denied; only advisory stages may be missing.
# custom:
#   id: REQ-007
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, app_call, app_answer, publish, lifecycle, workload, infrastructure, image_build, pipeline, registry_entry, consent, revocation]
#   controls: ["ISO-27001:A.8.26", "SOC2:CC7.2", "GDPR:Art.32", "NIST-SP-800-53:SI-17"]
#   remediation: Try again in a moment; if it stays, tell the platform team which stage is named.
package platform.rules.request.facts_available

import data.platform.lib.lists

deny contains v if {
	some stage in lists.at(["facts", "unavailable"])
	not stage in data.platform.requests.advisory_stages
	v := {
		"path": ["facts", "unavailable"],
		"message": sprintf("The stage %s could not answer, so nothing can be allowed.", [json.marshal(stage)]),
	}
}

deny contains v if {
	stages := object.get(input, ["facts", "unavailable"], null)
	not is_array(stages)
	v := {
		"path": ["facts", "unavailable"],
		"message": "Nobody can say whether all facts were gathered.",
	}
}
